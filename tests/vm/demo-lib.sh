# Sourced by tests/vm/demo, tests/vm/demo-act and the test lint/demo: how the demo prints.
# shellcheck shell=bash
#
# No function here needs a virtual machine.  No line is longer than WIDTH.  STYLE is `plain`
# or `colour`; only `colour` has escape sequences.

WIDTH=80
STYLE=plain
# I/O/s that one mark of a bar stands for; empty until choose_scale.
PER_MARK=

MIN_WIDTH=20
INDENT='    '
RATE_FORMAT="$INDENT%6d I/O/s "

# Set WIDTH and STYLE for stdout.  Not in a subshell, where stdout is a pipe.
find_terminal() {
	local columns=${COLUMNS:-} stdout

	if [[ -t 1 ]]; then
		exec {stdout}>&1
		columns=${columns:-$(stty size <&"$stdout" | cut --delimiter=' ' --fields=2)}
		exec {stdout}>&-
		[[ -n ${NO_COLOR:-} || ${TERM:-dumb} == dumb ]] || STYLE=colour
	fi
	set_width "$columns"
}

# set_width <columns>: use 80 if this is not a number, or 0 as on a serial line.
set_width() {
	WIDTH=80
	[[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || return 0
	WIDTH=$(($1 < MIN_WIDTH ? MIN_WIDTH : $1))
}

# paint <code>: colour the input.  Use it after fit, because escape sequences have no
# width.
paint() {
	if [[ $STYLE == colour ]]; then
		sed $'s/.*/\e['"$1"$'m&\e[0m/'
	else
		cat
	fi
}

# fit [mark]: wrap the lines that are too long, at spaces where possible, and indent the
# continuation.  The mark ends each line that has a continuation.
fit() {
	expand | MARK=${1-} awk -v width="$WIDTH" '
	function spaces(n,    s) {
		for (s = ""; length(s) < n; s = s " ")
			;
		return s
	}
	{
		match($0, /^ */)
		lead = RLENGTH
		deeper = lead + 4 < width / 2 ? lead + 4 : int(width / 2)
		mark = ENVIRON["MARK"]
		sub(/ +$/, "")
		line = $0
		while (length(line) > width) {
			room = width - length(mark)
			for (cut = room + 1; cut > lead && substr(line, cut, 1) != " "; cut--)
				;
			if (cut > lead) {
				print substr(line, 1, cut - 1) mark
				rest = substr(line, cut + 1)
			} else {
				print substr(line, 1, width)
				rest = substr(line, width + 1)
			}
			sub(/^ +/, "", rest)
			line = spaces(deeper) rest
			lead = deeper
		}
		print line
	}'
}

# align: print the input's fields as a table.  Columns that do not fit are omitted on the
# right, and "..." in the first line shows this.
align() {
	awk -v width="$WIDTH" -v indent="$INDENT" '
	function count_fitting(gap,    i, total, fitting) {
		total = length(indent) - gap
		for (i = 1; i <= columns; i++) {
			total += gap + widest[i]
			if (total + (i < columns ? gap + length("...") : 0) <= width)
				fitting = i
		}
		return fitting
	}
	{
		for (i = 1; i <= NF; i++) {
			cell[NR, i] = $i
			if (length($i) > widest[i])
				widest[i] = length($i)
		}
		if (NF > columns)
			columns = NF
	}
	END {
		gap = count_fitting(2) == columns ? 2 : 1
		shown = count_fitting(gap)
		for (row = 1; row <= NR; row++) {
			line = indent
			for (i = 1; i <= shown; i++)
				line = line sprintf("%-" widest[i] + gap "s", cell[row, i])
			if (row == 1 && shown < columns)
				line = line "..."
			sub(/ +$/, "", line)
			print line
		}
	}'
}

# begin_act <title>: each act has its own scale.
begin_act() {
	PER_MARK=
	echo
	printf '%s\n' "$1" "${1//?/=}" | fit | paint 1
}

# section <heading> <what to look at>
section() {
	echo
	fit <<<"$1" | paint 1
	fit <<<"Look at: $2" | paint 36
}

# show <command>: run it as bash does, and print both it and its output.
show() {
	fit " \\" <<<"\$ $1"
	eval "$1" 2>&1 | sed "s/^/$INDENT/" | fit
	return "${PIPESTATUS[0]}"
}

# show_table <command>: the same, with the columns of its output aligned.
show_table() {
	fit " \\" <<<"\$ $1"
	eval "$1" 2>&1 | align
	return "${PIPESTATUS[0]}"
}

# choose_scale <highest rate>: call once per act, so that its bars have one scale.  There is
# room for 1.5 times this rate, because fio exceeds its limit after a delay.
choose_scale() {
	local prefix room
	if [[ -n $PER_MARK ]]; then
		echo "choose_scale: this act already has a scale" >&2
		return 1
	fi
	# shellcheck disable=SC2059
	printf -v prefix "$RATE_FORMAT" 0
	room=$((WIDTH - ${#prefix}))
	PER_MARK=$((($1 * 3 / 2 + room - 1) / room))
	((PER_MARK > 0)) || PER_MARK=1
	fit <<<"${INDENT}One # is $PER_MARK I/O/s. A > marks a rate beyond the scale."
}

# print_bar <rate>: print at least one mark for any rate except 0.
print_bar() {
	local prefix room marks bar end='' line
	# shellcheck disable=SC2059
	printf -v prefix "$RATE_FORMAT" "$1"
	room=$((WIDTH - ${#prefix}))
	marks=$((($1 + PER_MARK / 2) / PER_MARK))
	((marks > 0 || $1 == 0)) || marks=1
	if ((marks > room)); then
		marks=$((room > 0 ? room - 1 : 0))
		end='>'
	fi
	printf -v bar '%*s' "$marks" ''
	line=$prefix${bar// /#}$end
	printf '%s\n' "${line% }"
}

# Fields of fio's reports.

# The I/Os that fio did.
ios_of() {
	awk -F'[=,]' '/ issued rwts: total=/ { sum += $2 + $3 } END { print sum + 0 }' "$1"
}

# Print the first error that fio got, or 0.  fio stops at the first error.
error_of() {
	awk '
	/: err= *[0-9]+/ {
		seen = 1
		number = $0
		sub(/.*: err= */, "", number)
		if (number + 0 != 0 && error == "") {
			error = $0
			if (!sub(/.*error=/, "", error))
				error = "error " number + 0
			sub(/\).*/, "", error)
		}
	}
	END { print !seen ? "unknown" : error != "" ? error : 0 }' "$1"
}

# The longest time from the submission of an I/O to its completion.
longest_wait_of() {
	awk '
	/^ +lat .*max=/ {
		value = $0
		sub(/.*max= */, "", value)
		factor = value ~ /^[0-9.]+k/ ? 1000 : value ~ /^[0-9.]+M/ ? 1000000 : 1
		factor *= /\(nsec\)/ ? 0.000001 : /\(usec\)/ ? 0.001 : 1
		if (value * factor > longest)
			longest = value * factor
	}
	END { print longest == "" ? "unknown" : sprintf(longest < 10 ? "%.1f ms" : "%d ms", longest) }' "$1"
}

# report <fio's report>: fails unless fio did I/O, and got no error.
report() {
	local error colour=32
	error=$(error_of "$1")
	[[ $error == 0 ]] || colour=31
	fit <<<"${INDENT}I/Os done       $(ios_of "$1")"
	fit <<<"${INDENT}first error     ${error/#0/none}" | paint "$colour"
	fit <<<"${INDENT}longest wait    $(longest_wait_of "$1")"
	[[ $error == 0 && $(ios_of "$1") -gt 0 ]]
}
