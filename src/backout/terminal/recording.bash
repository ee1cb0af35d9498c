# What `backout shell` has bash read in place of ~/.bashrc, which is read from here, first of all. Each command is told
# by escape sequences, which backout takes out of what is shown: PS0 tells of its start (bash 4.4), PROMPT_COMMAND of its
# end and of the prompt. A trap on DEBUG would be asked for each part of a pipeline, and belongs to the user.
exec 9<&-
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    printf '\e]633;backout;lacks;bash 4.4 or newer (it has %s)\a' "$BASH_VERSION"
    exit 97
fi
# Whoever prints a mark without knowing this number is not heard: it is in no file, environment or command line.
__backout_nonce=$(od -An -N16 -tx1 /dev/urandom 2>/dev/null | tr -d ' \n')
declare -r __backout_nonce="${__backout_nonce:-$RANDOM$RANDOM$RANDOM$RANDOM$RANDOM$RANDOM}"
printf '\e]633;backout;hello;%s\a' "$__backout_nonce" >/dev/tty
BACKOUT_SHELL=$(tty) && export BACKOUT_SHELL

# To the terminal, wherever the shell's own output goes to after an `exec >file`.
__backout_say() { { printf '\e]633;backout;%s;%s\a' "$__backout_nonce" "$1" >/dev/tty; } 2>/dev/null; }

# Without what would end the mark, or what a terminal changes on its way; byte by byte, whatever the locale.
__backout_escaped() {
    local LC_ALL=C
    __backout_text=${1//\\/\\x5c}
    __backout_text=${__backout_text//;/\\x3b}
    __backout_text=${__backout_text//$'\e'/\\x1b}
    __backout_text=${__backout_text//$'\a'/\\x07}
    __backout_text=${__backout_text//$'\n'/\\x0a}
    __backout_text=${__backout_text//$'\r'/\\x0d}
    __backout_text=${__backout_text//$'\t'/\\x09}
}

# Gives the newest line of the history, and its number; 0 where there is none.
__backout_newest() {
    __backout_line=$(HISTTIMEFORMAT='' && builtin history 1)
    __backout_line=${__backout_line#"${__backout_line%%[! ]*}"}
    __backout_number=${__backout_line%%[!0-9]*}
    __backout_line=${__backout_line#"$__backout_number"[ *] }
    __backout_number=${__backout_number:-0}
}

# Is run in a subshell before each command: nothing that it sets stays.
__backout_start() {
    { local code=$? cwd text='' && set +eux; } 2>/dev/null
    __backout_newest
    if [[ -o history ]] && { ((__backout_number > __backout_known)) || [[ ${HISTCONTROL-} == *erasedups* ]]; }; then
        __backout_escaped "$__backout_line"
        text=$__backout_text
    fi
    __backout_escaped "$PWD"
    cwd=$__backout_text
    __backout_say "start;$code;$cwd;$text"
}

# Is run before all else that is run before a prompt.
__backout_end() {
    { local code=${1-$?} options=$- - && set +eux; } 2>/dev/null
    __backout_say "end;$code"
    __backout_ended=1
    __backout_forget
    __backout_take_part
    # For what the user has run after us, where that is one line (bash 5.0); with errexit it would end the shell.
    [[ $options == *e* ]] || return "$code"
}

# Takes its place in what the user sets, also where that was set anew: an array keeps our last part then (bash 5.1).
__backout_take_part() {
    [[ ${PS0-} == *__backout_start* ]] || PS0='$(__backout_start)'"${PS0-}"
    if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)); then
        [[ " ${PROMPT_COMMAND[*]-} " == *' __backout_end '* ]] ||
            PROMPT_COMMAND=(__backout_end ${PROMPT_COMMAND[@]+"${PROMPT_COMMAND[@]}"})
        [[ " ${PROMPT_COMMAND[*]} " == *' __backout_prompt '* ]] || PROMPT_COMMAND+=(__backout_prompt)
    elif [[ ${PROMPT_COMMAND-} != *__backout_end* ]]; then
        PROMPT_COMMAND=$'__backout_end\n'"${PROMPT_COMMAND-}"$'\n__backout_prompt'
    fi
    export -n PS0 PROMPT_COMMAND
}

# HISTCONTROL and HISTIGNORE would keep a command from us, too: they are obeyed afterwards.
__backout_forget() {
    local pattern IFS=: forget=
    __backout_newest
    if ((__backout_number > __backout_known)); then
        case $__backout_control in *ignorespace* | *ignoreboth*) [[ $__backout_line == ' '* ]] && forget=1 ;; esac
        case $__backout_control in
        *ignoredups* | *ignoreboth*) [[ $__backout_line == "$__backout_before" ]] && forget=1 ;;
        esac
        set -f
        for pattern in $__backout_ignore; do
            # shellcheck disable=SC2053  # a pattern is meant
            [[ $__backout_line == ${pattern//&/"$__backout_before"} ]] && forget=1
        done
    fi
    if [[ $forget ]] && builtin history -d "$__backout_number" 2>/dev/null; then
        ((__backout_number -= 1))
    else
        __backout_before=$__backout_line
    fi
    __backout_known=$__backout_number
}

# Is run after all else that is run before a prompt; what the user has set is taken over, then and later.
__backout_prompt() {
    { local code=$? - && set +eux; } 2>/dev/null
    [[ ${__backout_ended-} ]] || __backout_end "$code"
    __backout_ended=
    if [[ ${HISTCONTROL-} && $HISTCONTROL != erasedups ]]; then
        __backout_control=$HISTCONTROL
        HISTCONTROL=
        [[ $__backout_control != *erasedups* ]] || HISTCONTROL=erasedups
    fi
    if [[ ${HISTIGNORE-} ]]; then
        __backout_ignore=$HISTIGNORE
        HISTIGNORE=
    fi
    __backout_say prompt
}

__backout_known=0 __backout_before='' __backout_control='' __backout_ignore=''
if [[ -r ~/.bashrc ]]; then . ~/.bashrc; fi
shopt -s promptvars cmdhist
__backout_take_part
