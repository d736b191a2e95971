# SPDX-License-Identifier: MIT
"""User namespaces, by which an ordinary user's VMs get their jail: whether this host gives any, and a host that does not."""
import pathlib


def has_user_namespaces():
    """By the sysctls with which administrators forbid them."""
    def value(name):
        path = pathlib.Path("/proc/sys") / name
        return int(path.read_text()) if path.exists() else None
    return (value("user/max_user_namespaces") != 0 and value("kernel/unprivileged_userns_clone") != 0
            and value("kernel/apparmor_restrict_unprivileged_userns") != 1)


def no_user_namespaces(uid):
    """Words before the command of the user `uid`, who gets none: in a user namespace, whose sysctl is its own."""
    return ["unshare", "--user", "--keep-caps", f"--map-user={uid}", f"--map-group={uid}", "sh", "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all "$@"', "sh"]
