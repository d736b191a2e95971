/* SPDX-License-Identifier: MIT */
/* The keys of the configuration file: the one place that says what they are called, allow and
 * default to. After a change here run the test config_docs with SLICER_GOLDEN_UPDATE=1, which
 * writes docs/configuration.md and man/slicer.yaml.5.scd anew. */
#include "config/config.h"
#include "config/fields.h"
#include "config/syntax.h"

/* clang-format off */

#define GIB (1ULL << 30)
#define MIB (1ULL << 20)
#define KIB (1ULL << 10)
#define TIB (1ULL << 40)
#define RAM_MIN (32 * MIB)
#define RAM_MAX (16 * TIB)
#define PATH_LIMIT 4095
#define UID_LIMIT 4294967293 /* 2^32 - 1 and - 2 are no users */
#define LISTED 1024 /* entries of lists that need some limit */
#define RULES 16384 /* of allow and of drop */

static const struct field_value hypervisors[] = {
	{"qemu", HYPERVISOR_QEMU, 0},
	{"firecracker", HYPERVISOR_FIRECRACKER, VALUE_NOT_YET},
	{"cloud-hypervisor", HYPERVISOR_CLOUD_HYPERVISOR, VALUE_NOT_YET},
	{"fake", HYPERVISOR_FAKE, VALUE_FAKE},
	{0},
};

static const struct field_value accels[] = {
	{"auto", ACCEL_AUTO, 0},
	{"kvm", ACCEL_KVM, 0},
	{"tcg", ACCEL_TCG, 0},
	{0},
};

static const struct field_value machines[] = {
	{"auto", MACHINE_AUTO, 0},
	{"microvm", MACHINE_MICROVM, 0},
	{"virt", MACHINE_VIRT, VALUE_NOT_YET},
	{"q35", MACHINE_Q35, VALUE_NOT_YET},
	{0},
};

static const struct field_value storages[] = {
	{"overlay", STORAGE_OVERLAY, 0},
	{"image", STORAGE_IMAGE, VALUE_NOT_YET},
	{"devmapper", STORAGE_DEVMAPPER, VALUE_NOT_YET},
	{"zfs", STORAGE_ZFS, VALUE_NOT_YET},
	{"zvol", STORAGE_ZFS, VALUE_HIDDEN},
	{0},
};

static const struct field_value net_modes[] = {
	{"bridge", NET_BRIDGE},
	{"isolated", NET_ISOLATED},
	{"macvtap", NET_MACVTAP},
	{"user", NET_USER, 0},
	{"cni", NET_CNI, VALUE_DERIVED},
	{"slots", NET_SLOTS, VALUE_DERIVED},
	{0},
};

static const struct field_value sleep_actions[] = {
	{"none", SLEEP_NONE, 0},
	{"shutdown", SLEEP_SHUTDOWN, 0},
	{"prevent", SLEEP_PREVENT, 0},
	{"suspend", SLEEP_SUSPEND, 0},
	{0},
};

#define AT(member) .offset = offsetof(struct config_network, member)
static const struct field network_fields[] = {
	{.key = "mode", .type = FIELD_ENUM, AT(mode), .preset = "bridge", .values = net_modes,
	 .help = "How VMs reach the network; without a network section it is CNI"},
	{.key = "bridge", .type = FIELD_STRING, AT(bridge), .check = syntax_interface,
	 .preset_doc = "`br<group>0`",
	 .help = "Bridge mode: name of the Linux bridge of the group"},
	{.key = "tap_prefix", .type = FIELD_STRING, AT(tap_prefix), .check = syntax_tap_prefix,
	 .preset_doc = "`<group>tap`",
	 .help = "Bridge mode: what the names of the VMs' interfaces on the host begin with"},
	{.key = "gateway", .type = FIELD_STRING, AT(gateway), .check = syntax_gateway,
	 .preset_doc = "bridge: `192.168.137.1/24`; macvtap: DHCP",
	 .help = "Address of the gateway with the prefix length of the subnet"},
	{.key = "range", .type = FIELD_STRING, AT(range), .check = syntax_range,
	 .preset_doc = "bridge: the whole subnet; macvtap: .220–.254; isolated: a /22 derived "
	               "from the group's name",
	 .help = "Bridge and macvtap: addresses for VMs as `FIRST-LAST`; isolated: a CIDR that "
	         "is cut into /30 blocks"},
	{.key = "addresses", .type = FIELD_STRV, AT(addresses), .max = LISTED, .item_max = 32,
	 .check = syntax_address,
	 .help = "Bridge and macvtap: a fixed list of addresses instead of a range"},
	{.key = "allow", .type = FIELD_STRV, AT(allow),
	 .has_offset = offsetof(struct config_network, has_allow), .max = RULES, .item_max = 32,
	 .check = syntax_rule,
	 .help = "Isolated mode: destinations that VMs may reach: IP, CIDR, IP:PORT or `LAN`"},
	{.key = "drop", .type = FIELD_STRV, AT(drop),
	 .has_offset = offsetof(struct config_network, has_drop), .max = RULES, .item_max = 32,
	 .check = syntax_rule,
	 .help = "Isolated mode: destinations that VMs may not reach: IP, CIDR, IP:PORT or `LAN`"},
	{.key = "parent", .type = FIELD_STRING, AT(parent), .check = syntax_interface,
	 .preset_doc = "the interface of the default route",
	 .help = "Macvtap mode: the host's interface through which VMs join the LAN"},
	{.key = "forwards", .type = FIELD_STRV, AT(forwards), .max = 64, .item_max = 64,
	 .check = syntax_forward,
	 .help = "User mode, `count: 1`: ports of the host that lead to the VM: `HOSTPORT:GUESTPORT`, "
	         "`HOSTPORT:GUESTADDR:GUESTPORT` or `HOSTADDR:HOSTPORT:GUESTADDR:GUESTPORT`"},
};
#undef AT

const struct object_type config_network_type = {
	.name = "network", .help = "The network of a host group.",
	OBJECT_TYPE(config_network, network_fields)};

#define AT(member) .offset = offsetof(struct config_ca, member)
static const struct field ca_fields[] = {
	{.key = "generate", .type = FIELD_BOOL, AT(generate), .preset = "false",
	 .flags = FIELD_NOT_YET,
	 .help = "Make a certificate authority for the group and let its VMs trust it"},
	{.key = "files", .type = FIELD_STRV, AT(files), .max = 64, .item_max = PATH_LIMIT,
	 .flags = FIELD_NOT_YET, .help = "PEM files whose certificates the VMs trust"},
};
#undef AT
static const struct object_type ca_type = {
	.name = "ca", .help = "Certificates that the VMs of a host group trust.",
	OBJECT_TYPE(config_ca, ca_fields)};

static const struct field slot_fields[] = {
	{.key = "index", .type = FIELD_U32, .offset = offsetof(struct config_slot, index), .min = 1,
	 .max = 255, .preset_doc = "the number at the end of the name",
	 .help = "N of the subnet 10.N.0.0/24"},
};
static const struct object_type slot_type = {
	.name = "slots",
	.help = "Slots are VMs with fixed names and subnets: the key is the hostname, its value "
	        "may be `{}`.", .key_offset = offsetof(struct config_slot, name),
	.check_key = syntax_hostname, OBJECT_TYPE(config_slot, slot_fields)};

#define AT(member) .offset = offsetof(struct config_limits, member)
static const struct field limits_fields[] = {
	{.key = "disk_bandwidth", .type = FIELD_SIZE, AT(disk_bandwidth), .min = 64 * KIB, .max = TIB,
	 .unit = "per second",
	 .help = "Bytes per second that a VM may read and write, its image included"},
	{.key = "disk_operations", .type = FIELD_U32, AT(disk_operations), .min = 10, .max = 10000000,
	 .help = "Reads and writes per second"},
	{.key = "network_bandwidth", .type = FIELD_SIZE, AT(network_bandwidth), .min = 64 * KIB,
	 .max = 16 * GIB, .unit = "per second",
	 .help = "Bytes per second that a VM may send, and receive; not in modes macvtap, user and cni"},
	{.key = "network_packets", .type = FIELD_U32, AT(network_packets), .min = 10, .max = 100000000,
	 .help = "Packets per second that a VM may send, and receive; not in modes macvtap, user and cni"},
	{.key = "network_connections", .type = FIELD_U32, AT(network_connections), .min = 10, .max = 65536,
	 .help = "Connections that a VM may have open at once; mode isolated"},
};
#undef AT
static const struct object_type limits_type = {
	.name = "limits", .help = "What one VM of a host group may use at most, so that others have their share.",
	OBJECT_TYPE(config_limits, limits_fields)};

#define AT(member) .offset = offsetof(struct config_group, member)
static const struct field group_fields[] = {
	{.key = "name", .type = FIELD_STRING, AT(name), .min = 1, .check = syntax_group_name,
	 .flags = FIELD_REQUIRED,
	 .help = "Name of the group, unique in the file; its VMs are called `<name>-1`, "
	         "`<name>-2` and so on"},
	{.key = "count", .type = FIELD_U32, AT(count), .max = 10000, .preset = "1",
	 .help = "VMs that `slicer up` starts; 0 leaves it to the API"},
	{.key = "vcpu", .type = FIELD_U32, AT(vcpu), .min = 1, .max = 288, .preset = "2",
	 .preset_doc = "2 (slots: 1)",
	 .help = "Virtual CPUs of a VM, and the most that the API may ask for"},
	{.key = "ram_gb", .type = FIELD_U64, AT(ram_bytes), .min = 1, .max = RAM_MAX / GIB,
	 .scale = GIB, .preset = "4", .preset_doc = "4 (slots: 1)", .unit = "GiB", .one_of = 1,
	 .help = "Memory of a VM, and the most that the API may ask for"},
	{.key = "ram_mb", .type = FIELD_U64, AT(ram_bytes), .min = RAM_MIN / MIB,
	 .max = RAM_MAX / MIB, .scale = MIB, .unit = "MiB", .one_of = 1, .help = "The same in MiB"},
	{.key = "ram_bytes", .type = FIELD_U64, AT(ram_bytes), .min = RAM_MIN, .max = RAM_MAX,
	 .unit = "bytes", .one_of = 1, .help = "The same in bytes"},
	{.key = "storage", .type = FIELD_ENUM, AT(storage), .preset = "overlay", .values = storages,
	 .help = "How a VM's disk is kept: `overlay` shares the image and keeps what changed, "
	         "`image` is a full disk per VM"},
	{.key = "storage_size", .type = FIELD_SIZE, AT(storage_size), .min = 64 * MIB,
	 .max = 64 * TIB, .preset_doc = "overlay: 16G (slots: 64G)",
	 .help = "Size of the disk, such as 25G; storage image needs it, devmapper does not "
	         "allow it"},
	{.key = "persistent", .type = FIELD_BOOL, AT(persistent), .preset = "false",

	 .help = "Keep the disks of stopped VMs; storage image always does"},
	{.key = "image", .type = FIELD_STRING, AT(image), .min = 1, .max = 512,
	 .check = syntax_image, .preset_doc = "the top level's", .help = "Image of this group"},
	{.key = "userdata", .type = FIELD_STRING, AT(userdata), .max = CONFIG_USERDATA_MAX,
	 .flags = FIELD_MULTILINE, .one_of = 2,
	 .help = "Script that runs as root once, when a VM first boots"},
	{.key = "userdata_file", .type = FIELD_STRING, AT(userdata_file), .min = 1,
	 .max = PATH_LIMIT, .one_of = 2, .help = "The same from a file"},
	{.key = "dns_servers", .type = FIELD_STRV, AT(dns_servers), .preset = "8.8.8.8,1.1.1.1",
	 .max = 3, .item_max = 15, .check = syntax_ip,
	 .help = "Name servers of the VMs; 127.0.0.1 blocks lookups"},
	{.key = "gpu_count", .type = FIELD_U32, AT(gpu_count), .max = 64, .preset = "0",
	 .flags = FIELD_NOT_YET, .help = "GPUs given to each VM"},
	{.key = "ca", .type = FIELD_OBJECT, AT(ca), .object = &ca_type,
	 .help = "Certificates that the VMs trust"},
	{.key = "network", .type = FIELD_OBJECT, AT(network), .object = &config_network_type,
	 .preset_doc = "CNI", .help = "The network of the group"},
	{.key = "limits", .type = FIELD_OBJECT, AT(limits), .object = &limits_type,
	 .help = "Of disk and network"},
	{.key = "network_name", .type = FIELD_STRING, AT(network_name), .min = 1, .max = 64,
	 .preset_doc = "the top level's",
	 .help = "CNI network of the group, when it has no network section"},
	{.key = "template", .type = FIELD_BOOL, AT(template), .preset = "false",
	 .flags = FIELD_NOT_YET,
	 .help = "Boot one VM, and make every VM of the group a fork of it"},
	{.key = "warm", .type = FIELD_U32, AT(warm), .max = 1000, .preset = "0",
	 .flags = FIELD_NOT_YET, .help = "Forks of the template kept ready"},
	{.key = "slots", .type = FIELD_MAP, AT(slots),
	 .count_offset = offsetof(struct config_group, nslots), .min = 1, .max = 255,
	 .object = &slot_type, .help = "VMs with fixed names and subnets, instead of a count"},
	{.key = "machine", .type = FIELD_ENUM, AT(machine), .preset = "auto", .values = machines,
	 .help = "Machine type; auto is microvm on x86-64 and virt on arm64"},
	{.key = "accel", .type = FIELD_ENUM, AT(accel), .preset = "auto", .values = accels,
	 .preset_doc = "the top level's", .help = "Acceleration of this group"},
	{.key = "share_home", .type = FIELD_STRING, AT(share_home), .max = PATH_LIMIT,
	 .flags = FIELD_IGNORED, .help = "macOS only"},
	{.key = "rosetta", .type = FIELD_BOOL, AT(rosetta), .flags = FIELD_IGNORED,
	 .help = "macOS only"},
	{.key = "sleep_action", .type = FIELD_ENUM, AT(sleep_action), .values = sleep_actions,
	 .flags = FIELD_IGNORED, .help = "macOS only"},
};
#undef AT
const struct object_type config_group_type = {
	.name = "host_groups", .help = "A list; each entry is a group of VMs that are alike.",
	OBJECT_TYPE(config_group, group_fields)};

#define AT(member) .offset = offsetof(struct config_auth, member)
static const struct field auth_fields[] = {
	{.key = "enabled", .type = FIELD_BOOL, AT(enabled),
	 .preset_doc = "true for TCP, false for a Unix socket",
	 .help = "Ask clients for the token"},
	{.key = "token", .type = FIELD_STRING, AT(token), .min = 1, .max = 4096,
	 .preset_doc = "from the token file",
	 .help = "The token itself; a file that others can read is no place for it"},
};
#undef AT
static const struct object_type auth_type = {
	.name = "auth", .help = "Who may use the API.", OBJECT_TYPE(config_auth, auth_fields)};

#define AT(member) .offset = offsetof(struct config_api, member)
static const struct field api_fields[] = {
	{.key = "enabled", .type = FIELD_BOOL, AT(enabled), .preset = "true",
	 .help = "Serve the API"},
	{.key = "port", .type = FIELD_U32, AT(port), .min = 1, .max = 65535, .preset = "8080",
	 .help = "TCP port"},
	{.key = "bind_address", .type = FIELD_STRING, AT(bind_address), .preset = "127.0.0.1",
	 .check = syntax_bind_address,
	 .help = "IPv4 address, or the path of a Unix socket such as `./slicer.sock`"},
	{.key = "socket", .type = FIELD_STRING, AT(socket), .check = syntax_socket_path,
	 .help = "Path of a Unix socket; another way to write it"},
	{.key = "auth", .type = FIELD_OBJECT, AT(auth), .object = &auth_type,
	 .help = "Who may use the API"},
};
#undef AT
static const struct object_type api_type = {
	.name = "api", .help = "The REST API of the daemon.", OBJECT_TYPE(config_api, api_fields)};

#define AT(member) .offset = offsetof(struct config_ssh, member)
static const struct field ssh_fields[] = {
	{.key = "port", .type = FIELD_U32, AT(port), .max = 65535, .preset = "0",
	 .flags = FIELD_NOT_YET, .help = "TCP port; 0 turns it off"},
	{.key = "bind_address", .type = FIELD_STRING, AT(bind_address), .preset = "127.0.0.1",
	 .check = syntax_bind_address, .help = "IPv4 address"},
};
#undef AT
static const struct object_type ssh_type = {
	.name = "ssh",
	.help = "Serial over SSH: one SSH server that leads to the consoles of all VMs.",
	OBJECT_TYPE(config_ssh, ssh_fields)};

static const struct field pci_fields[] = {
	{.key = "addresses", .type = FIELD_STRV, .offset = offsetof(struct config_pci, addresses),
	 .min = 1, .max = 64, .item_max = 12, .check = syntax_pci_address, .help = "PCI addresses"},
};
static const struct object_type pci_type = {
	.name = "pci",
	.help = "The key is a hostname, the value a list of PCI addresses such as "
	        "\"0000:04:00.0\".", .key_offset = offsetof(struct config_pci, hostname),
	.check_key = syntax_hostname, .inline_value = true, OBJECT_TYPE(config_pci, pci_fields)};

#define AT(member) .offset = offsetof(struct config, member)
static const struct field config_fields[] = {
	{.key = "image", .type = FIELD_STRING, AT(image), .min = 1, .max = 512,
	 .check = syntax_image, .preset_doc = "`" CONFIG_DEFAULT_IMAGE "`",
	 .help = "Image of the VMs: a name from `slicer image list`; OCI references are not in this version yet"},
	{.key = "kernel_image", .type = FIELD_STRING, AT(kernel_image), .min = 1, .max = 512,
	 .check = syntax_image, .flags = FIELD_NOT_YET, .help = "OCI image that holds a kernel"},
	{.key = "kernel_file", .type = FIELD_STRING, AT(kernel_file), .min = 1, .max = PATH_LIMIT,
	 .preset_doc = "the image's kernel",
	 .help = "Path of a kernel that boots all images instead of theirs; its modules are found in the image, "
		 "in the store, or in /lib/modules of this host"},
	{.key = "hypervisor", .type = FIELD_ENUM, AT(hypervisor), .preset = "qemu",
	 .values = hypervisors, .help = "What runs the VMs"},
	{.key = "accel", .type = FIELD_ENUM, AT(accel), .preset = "auto", .values = accels,
	 .help = "Acceleration: auto takes KVM where hardware backs it and emulates elsewhere"},
	{.key = "graceful_shutdown", .type = FIELD_BOOL, AT(graceful_shutdown), .preset = "true",
	 .help = "Let guests shut down when the daemon stops; false kills them"},
	{.key = "uid_first", .type = FIELD_U32, AT(uid_first), .min = 1000, .max = UID_LIMIT, .preset = "300000",
	 .help = "First of the users that VMs run as; each daemon of a host takes 8,192 of them"},
	{.key = "uid_last", .type = FIELD_U32, AT(uid_last), .min = 1000, .max = UID_LIMIT, .preset = "521183",
	 .help = "Last of them; accounts and the ranges in /etc/subuid should be outside"},
	{.key = "insecure_registry", .type = FIELD_BOOL, AT(insecure_registry), .preset = "false",
	 .flags = FIELD_NOT_YET, .help = "Allow image registries without TLS"},
	{.key = "network_name", .type = FIELD_STRING, AT(network_name), .min = 1, .max = 64,
	 .preset = "slicer", .help = "CNI network of the groups that have no network section"},
	{.key = "github_user", .type = FIELD_STRING, AT(github_user), .check = syntax_github_user,
	 .help = "GitHub user whose public keys may log in"},
	{.key = "ssh_keys", .type = FIELD_STRV, AT(ssh_keys), .max = 64, .item_max = 16384,
	 .check = syntax_ssh_key, .flags = FIELD_MULTILINE, .help = "Public keys that may log in"},
	{.key = "pci", .type = FIELD_MAP, AT(pci), .count_offset = offsetof(struct config, npci),
	 .max = LISTED, .object = &pci_type, .flags = FIELD_NOT_YET,
	 .help = "PCI devices given to VMs"},
	{.key = "api", .type = FIELD_OBJECT, AT(api), .object = &api_type, .help = "The REST API"},
	{.key = "ssh", .type = FIELD_OBJECT, AT(ssh), .object = &ssh_type,
	 .help = "Serial over SSH"},
	{.key = "host_groups", .type = FIELD_OBJECTS, AT(groups),
	 .count_offset = offsetof(struct config, ngroups), .min = 1, .max = 256,
	 .object = &config_group_type, .flags = FIELD_REQUIRED, .help = "The groups of VMs"},
};
#undef AT
const struct object_type config_type = {
	.name = "config", .help = "Everything is below the key `config:`.",
	OBJECT_TYPE(config, config_fields)};
