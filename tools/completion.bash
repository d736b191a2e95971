# SPDX-License-Identifier: MIT
# Completion of slicer for bash: asks the program itself which words may follow.
_slicer() {
	local word=${COMP_WORDS[COMP_CWORD]}
	local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")

	mapfile -t COMPREPLY < <(compgen -W "$(slicer complete -- "${before[@]}" 2>/dev/null)" -- "$word")
}
complete -o default -F _slicer slicer
