#!/bin/sh
# Stands in for the service tools during a rehearsal. What would act on live processes is written down, one request a
# line; what only makes links is done by the real tool; questions are answered from the host's state before the
# rehearsal and from the requests made so far. POSIX sh: builtins, awk and the real tools.

box=/dev/.backout
requests=$box/requests
units=$box/real/units
bell=$box/real/bell
self=${0##*/}
real=$box/real/$self

say() { printf '%s\n' "$*" >&2; }

# record ACTION UNIT; only who may write the file could have asked the service manager.
record() { printf '%s %s\n' "$1" "$2" >>"$requests"; }

# answer state|show|list|names: what is known of $unit, or of every unit. The units file holds what `systemctl show`
# prints, the manager's own block first; requests made since decide over the recorded state.
answer() {
	# The first question of a rehearsal is waited for: only then are the services of the host asked.
	# shellcheck disable=SC2034  # what comes is no word but the end of the waiting
	[ -s "$units" ] || [ ! -p "$bell" ] || read -r rung <"$bell"
	awk -v want="$1" -v unit="$unit" -v props="$props" -v bare="$bare" -v all="$all" -v types="$types" \
		-v states="$states" -v names="$names" -v load="$load" -v file="$file" -v enabled="$enabled" '
	function has(list, word) { return index("," list ",", "," word ",") > 0 }
	function put(key, text) { if (!(key in value)) order[++n] = key; value[key] = text }
	function adjust(   names, i, state) {
		split(value["Names"] " " value["Id"], names, " ")
		for (i in names) if (names[i] in asked) state = asked[names[i]]
		if (state == "" || state == value["ActiveState"]) return
		put("ActiveState", state)
		put("SubState", state == "inactive" ? "dead" : value["Id"] ~ /\.service$/ ? "running" : "active")
		if (state == "inactive" && "MainPID" in value) value["MainPID"] = 0
	}
	function reloads(   line) {
		while (file != "" && (getline line < file) > 0) if (line ~ /^(ExecReload=|Type=notify-reload)/) return "yes"
		return file == "" ? "yes" : "no"
	}
	function show(   i, key) {
		done = 1
		if (want == "state") { print value["ActiveState"]; return }
		if (load != "") put("LoadState", load)
		if (file != "") put("FragmentPath", file)
		if (enabled != "") put("UnitFileState", enabled)
		for (i = 1; i <= n; i++) {
			key = order[i]
			if (props == "" || has(props, key)) print (bare ? "" : key "=") value[key]
		}
	}
	function fits(   words, count, i, pattern) {
		count = split(names, words, " ")
		for (i = 1; i <= count; i++) {
			pattern = words[i]; gsub(/[.+]/, "\\\\&", pattern); gsub(/\*/, ".*", pattern); gsub(/\?/, ".", pattern)
			if (value["Id"] ~ "^" pattern "(\\.service)?$") return 1
		}
		return !count
	}
	function list(   type) {
		if (!fits()) return
		type = value["Id"]; sub(/.*\./, "", type)
		if (types != "" && !has(types, type)) return
		if (states != "" && !has(states, value["LoadState"]) && !has(states, value["ActiveState"]) && !has(states, value["SubState"])) return
		if (states == "" && !all && value["ActiveState"] == "inactive") return
		printf "  %s %s %s %s %s\n", value["Id"], value["LoadState"], value["ActiveState"], value["SubState"], value["Description"]
	}
	function block() {
		if (value["Id"] != "") adjust()
		if (want == "list" && value["Id"] != "") list()
		else if (want == "names" && value["ActiveState"] != "inactive") print value["Id"]
		else if (want == "state" || want == "show") {
			if (!done && n && (value["Id"] == unit || index(" " value["Names"] " ", " " unit " "))) show()
		}
		split("", value); split("", order); n = 0
	}
	asking && $1 ~ /^(start|restart|reload-or-restart|isolate)$/ { asked[$2] = "active" }
	asking && $1 == "stop" { asked[$2] = "inactive" }
	asking { next }
	$0 == "" { if (n) block(); next }
	{ at = index($0, "="); put(substr($0, 1, at - 1), substr($0, at + 1)) }
	END {
		if (n) block()
		if (done || unit == "") exit
		put("Id", unit); put("Names", unit); put("LoadState", "not-found"); put("ActiveState", "inactive")
		put("SubState", "dead"); put("CanReload", reloads()); put("Description", unit)
		adjust(); show()
	}' asking=1 "$requests" asking=0 "$units"
}

# find_unit NAME: sets $unit, the file that defines it in the view ($file) and whether it is loaded, masked or
# not-found ($load); false when nothing in the view or on the host defines it.
find_unit() {
	unit=$1 file="" load="" enabled=""
	case $unit in *.service | *.socket | *.target | *.timer | *.path | *.mount | *.automount | *.swap | *.slice | *.scope | *.device) ;; *) unit=$unit.service ;; esac
	template=$unit
	case $unit in *@*.*) template=${unit%%@*}@.${unit##*.} ;; esac
	for folder in /etc/systemd/system /run/systemd/system /run/systemd/transient /run/systemd/generator.early \
		/run/systemd/generator /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system /run/systemd/generator.late; do
		for name in "$unit" "$template"; do
			[ -e "$folder/$name" ] || continue
			file=$folder/$name load=loaded
			[ -s "$file" ] || load=masked
			[ $load = loaded ]
			return
		done
	done
	# What has no file: an init script not yet seen by the generator; mounts, devices and slices that the host knows.
	if [ -x "/etc/init.d/${unit%.service}" ]; then load=loaded; return 0; fi
	case $unit in
	*.mount | *.swap | *.slice | *.scope | *.device | *.automount)
		load=$(props=LoadState bare=1; answer show)
		[ "$load" = loaded ] && return ;;
	esac
	load=not-found
	return 1
}

# act ACTION NAME: record it, or refuse as systemctl does.
act() {
	case $2 in *[!A-Za-z0-9:_.\\@-]* | "") say "Failed to $1 $2: Unit name $2 is not valid."; status=1; return ;; esac
	if ! find_unit "$2"; then
		case $1-$load in
		stop-masked | kill*-masked) ;;
		*-masked) say "Failed to $1 $unit: Unit $unit is masked."; status=1; return ;;
		stop-* | kill*)
			# A unit whose file is gone stays loaded until it has been stopped.
			state=$(answer state)
			if [ "$state" = inactive ]; then say "Failed to $1 $unit: Unit $unit not loaded."; status=5; return; fi ;;
		*) say "Failed to $1 $unit: Unit $unit not found."; status=5; return ;;
		esac
	fi
	if [ ! -w "$requests" ]; then say "Failed to $1 $unit: Interactive authentication required."; status=1; return; fi
	if [ "$1" = reload ]; then
		case $(props=CanReload,ActiveState bare=""; answer show) in
		*CanReload=no*) say "Failed to reload $unit: Job type reload is not applicable for unit $unit."; status=3; return ;;
		*ActiveState=inactive*) say "$unit is not active, cannot reload."; status=1; return ;;
		esac
	fi
	record "$1" "$unit"
}

# A pattern means the units that are loaded and run.
act_on_all() {
	action=$1
	shift
	[ $# -gt 0 ] || { say "Too few arguments."; exit 1; }
	for name; do
		case $name in
		*[*?[]*)
			for known in $(unit="" answer names); do
				# shellcheck disable=SC2254  # the pattern is meant
				case $known in $name | $name.service) act "$action" "$known" ;; esac
			done ;;
		*) act "$action" "$name" ;;
		esac
	done
	exit $status
}

# handle_links WORD...: links are made by the real tool, which need not ask the manager for that; what it would ask of
# the manager afterwards (look again; with --now: start, stop) is recorded.
handle_links() {
	export SYSTEMD_OFFLINE=1
	case $verb in
	is-enabled | list-unit-files | get-default) exec "$real" "$@" ;;
	enable | reenable) now=${now:+start} ;;
	disable | mask) now=${now:+stop} ;;
	preset | preset-all | unmask | link | revert | add-wants | add-requires | set-default | edit) now="" ;;
	*)
		unset SYSTEMD_OFFLINE
		return ;;
	esac
	left=$#
	while [ "$left" -gt 0 ]; do
		[ "$1" = --now ] || set -- "$@" "$1"
		shift
		left=$((left - 1))
	done
	"$real" "$@" || exit
	[ -z "$elsewhere" ] || exit 0
	[ -n "$no_reload" ] || [ ! -w "$requests" ] || record daemon-reload ""
	for name in $names; do
		[ -z "$now" ] || act "$now" "${name##*/}"
	done
	exit $status
}

manager_wide() {
	[ -w "$requests" ] || { say "Failed to $1: Interactive authentication required."; exit 1; }
	record "$1" ""
	exit 0
}

# report_state active|failed NAME...: print a word for each; true when one of them is so.
report_state() {
	wanted=$1 status=3
	[ "$wanted" = active ] || status=1
	shift
	for name; do
		find_unit "$name"
		state=$(answer state)
		[ -n "$quiet" ] || printf '%s\n' "$state"
		case $wanted-$state in active-active | active-reloading | failed-failed) status=0 ;; esac
	done
	exit $status
}

show_units() {
	if [ $# = 0 ]; then unit="" load="" file="" enabled=""; answer show; exit; fi
	first=1
	for name; do
		[ -n "$first" ] || echo
		first=""
		find_unit "$name"
		case ,$props, in ,, | *,UnitFileState,*) [ -z "$file" ] || enabled=$(SYSTEMD_OFFLINE=1 "$real" is-enabled "$unit" 2>/dev/null) ;; esac
		answer show
	done
	exit 0
}

unit_status() {
	if [ $# = 0 ]; then printf '%s\n' "● $(uname -n)"; exit 0; fi
	for name; do
		find_unit "$name"
		state=$(answer state)
		if [ "$load-$state" = not-found-inactive ]; then say "Unit $unit could not be found."; status=4; continue; fi
		[ -n "$file" ] && enabled=$(SYSTEMD_OFFLINE=1 "$real" is-enabled "$unit" 2>/dev/null)
		printf '● %s\n     Loaded: %s (%s; %s)\n     Active: %s\n' "$unit" "${load:-loaded}" "$file" "$enabled" "$state"
		case $state in active | reloading) ;; *) [ $status -ne 0 ] || status=3 ;; esac
	done
	exit $status
}

show_files() {
	for name; do
		find_unit "$name"
		[ -n "$file" ] || { say "No files found for $unit."; exit 1; }
		for part in "$file" /usr/lib/systemd/system/"$unit".d/*.conf /run/systemd/system/"$unit".d/*.conf /etc/systemd/system/"$unit".d/*.conf; do
			[ ! -f "$part" ] || { printf '# %s\n' "$part"; cat "$part"; echo; }
		done
	done
	exit 0
}

running() {
	unit="" props=SystemState bare=1 state=$(answer show)
	[ -n "$quiet" ] || printf '%s\n' "${state:=running}"
	[ "$state" = running ]
	exit
}

# Options are read and dropped; the verb goes first, its arguments after it.
systemctl() {
	quiet="" props="" bare="" all="" types="" states="" now="" no_reload="" signal="" elsewhere="" status=0
	unit="" load="" file="" enabled="" left=$# ended=""
	while [ "$left" -gt 0 ]; do
		word=$1 left=$((left - 1))
		shift
		case $ended$word in
		--) ended=: ;;
		--property | --type | --state | --signal | --kill-whom | --kill-who | --lines | --output | --job-mode | --what | --preset-mode | --message | --timestamp | -[ptPsno])
			take "$word" "$1"
			left=$((left - 1))
			shift ;;
		--*=* | -[ptPsno]?*) take "$word" "" ;;
		--value) bare=1 ;;
		--all) all=1 ;;
		--failed) states=failed ;;
		--quiet) quiet=1 ;;
		--now) now=1 ;;
		--no-reload) no_reload=1 ;;
		--user | --global | --host | --machine | --version | --help | -[HM]* | -h) elsewhere=1 ;;
		--*) ;;
		-*)
			case $word in *q*) quiet=1 ;; esac
			case $word in *a*) all=1 ;; esac ;;
		*) set -- "$@" "$word" ;;
		esac
	done
	verb=${1:-list-units}
	[ $# = 0 ] || shift
	names=$*
	[ -n "$elsewhere" ] || answer_verb "$@"
}

take() {
	case $1 in
	--*=*) option=${1%%=*} value=${1#*=} ;;
	--*) option=$1 value=$2 ;;
	-?) option=$1 value=$2 ;;
	*) value=${1#-?} option=${1%"$value"} ;;
	esac
	case $option in
	--property | -p) props=$props${props:+,}$value ;;
	-P) props=$props${props:+,}$value bare=1 ;;
	--type | -t) types=$types${types:+,}$value ;;
	--state) states=$states${states:+,}$value ;;
	--signal | -s) signal=${value#SIG} ;;
	--root | --image | --host | --machine) elsewhere=1 ;;
	esac
}

answer_verb() {
	case $verb in
	start | stop | restart | reload | try-restart | reload-or-restart | try-reload-or-restart | isolate | reset-failed)
		[ "$verb-$#" != reset-failed-0 ] || manager_wide reset-failed
		act_on_all "$verb" "$@" ;;
	condrestart) act_on_all try-restart "$@" ;;
	condstop) act_on_all stop "$@" ;;
	force-reload | condreload | reload-or-try-restart) act_on_all try-reload-or-restart "$@" ;;
	kill) act_on_all "kill${signal:+:$signal}" "$@" ;;
	daemon-reload | daemon-reexec) manager_wide $verb ;;
	is-active | is-failed) report_state "${verb#is-}" "$@" ;;
	show) show_units "$@" ;;
	status) unit_status "$@" ;;
	cat) show_files "$@" ;;
	list-units) answer list; exit ;;
	list-jobs) echo "No jobs running."; exit 0 ;;
	is-system-running) running ;;
	poweroff | reboot | halt | kexec | suspend | hibernate | hybrid-sleep | suspend-then-hibernate | soft-reboot | default | rescue | emergency | exit | switch-root)
		say "backout: '$verb' is not rehearsed; do it afterwards."
		exit 1 ;;
	esac
}

# The init script's actions that act on processes; false for every other one.
init_action() {
	case $1 in
	start | stop | restart | reload | force-reload | try-restart) printf '%s\n' "$1" ;;
	force-stop) echo stop ;;
	--full-restart) echo restart ;;
	*) return 1 ;;
	esac
}

init_status() {
	unit=$1.service props="" bare="" all="" types="" states="" names="" load="" file="" enabled=""
	if [ "$(answer state)" = active ]; then echo "$1 is running."; exit 0; fi
	echo "$1 is not running." >&2
	exit 3
}

all_init_status() {
	for script in /etc/init.d/*; do
		case ${script##*/} in README | skeleton | rc | rcS | single | *.dpkg-*) continue ;; esac
		[ -x "$script" ] || continue
		if (init_status "${script##*/}") >/dev/null 2>&1; then mark=+; else mark=-; fi
		printf ' [ %s ]  %s\n' $mark "${script##*/}"
	done
	exit 0
}

service() {
	case ${1-} in --status-all) all_init_status ;; -*) return ;; esac
	[ $# -ge 2 ] && [ -x "/etc/init.d/$1" ] || return
	[ "$2" != status ] || init_status "$1"
	action=$(init_action "$2") || return
	record "$action" "$1.service"
	exit
}

# Whether policy-rc.d and the run levels let it run is asked of the real tool, which then does not run it.
invoke_rc_d() {
	deny="" try="" name="" action=""
	for word; do
		case $word in
		--query | --help) return ;;
		--disclose-deny) deny=1 ;;
		--force | --try-anyway) try=1 ;;
		--*) ;;
		*) if [ -z "$name" ]; then name=$word; elif [ -z "$action" ]; then action=$word; fi ;;
		esac
	done
	request=$(init_action "$action") || [ "$action" = status ] || return
	"$real" --query "$@"
	answer=$?
	case $answer-$try in
	104-* | 105-* | 10[26]-1) ;;
	101-*)
		[ "$action" != status ] || exit 4
		[ -z "$deny" ] || exit 101
		exit 0 ;;
	106-) say "invoke-rc.d: the other action that policy-rc.d asks for is not rehearsed."; exit 0 ;;
	*) exit $answer ;;
	esac
	[ "$action" != status ] || init_status "$name"
	record "$request" "$name.service"
	exit
}

case $self in
systemctl)
	# The one that dpkg put there meanwhile fits the libraries that came with it.
	[ ! -x "/usr/bin/$self.backout-real" ] || real=/usr/bin/$self.backout-real
	[ ! -d /run/systemd/system ] || { systemctl "$@"; handle_links "$@"; } ;;
service) [ -d /run/systemd/system ] || service "$@" ;;
invoke-rc.d) [ -d /run/systemd/system ] || invoke_rc_d "$@" ;;
update-grub | update-grub2) record run update-grub; exit ;;
update-initramfs) record run update-initramfs; exit ;;
reboot | poweroff | halt | shutdown | telinit | init)
	say "backout: '$self' is not rehearsed; do it afterwards."
	exit 1 ;;
esac
exec "$real" "$@"
