# SPDX-License-Identifier: MIT
# Completion of slicer for bash: asks the program itself which words may follow. Words are compared here and not given to
# compgen -W, which would expand what they hold.
_slicer() {
	local word=${COMP_WORDS[COMP_CWORD]} candidate before=() i

	# bash takes "--option=value" apart.
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == = ]] || before+=("${COMP_WORDS[i]}")
	done
	[[ $word == = ]] && word=
	COMPREPLY=()
	if [[ ${COMP_WORDS[COMP_CWORD - 1]} == : || $word == : ]]; then # a path in a VM
		compopt +o default 2>/dev/null
		return
	fi
	while IFS= read -r candidate; do
		[[ $candidate == "$word"* ]] && COMPREPLY+=("$candidate")
	done < <(timeout 3 slicer complete --word="$word" -- "${before[@]}" 2>/dev/null)
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -o default -F _slicer slicer
