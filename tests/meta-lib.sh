# Sourced by the tests of group `meta`, after tests/lib.sh: they run the runner on
# the tests in tests/meta/fixtures and look at what it says of them.
# shellcheck shell=bash

# shellcheck source=tests/vm/common.sh
. tests/vm/common.sh

FIRST_KERNEL=$(kernel_names | head -n 1)

# run_fixtures <name>...: RESULT is a file with what tests/run printed, STATUS its
# status.  No module is built for it, and what hangs does so briefly.
# shellcheck disable=SC2034
run_fixtures() {
	RESULT=$WORK/result
	STATUS=0
	env --unset=FOLDER --unset=KERNEL MP_OUT="$WORK/out" MP_TESTS=tests/meta/fixtures MP_MODULE=none \
		MP_TIME_SCALE=2 tests/run -k "$FIRST_KERNEL" "${@/#/t/}" >"$RESULT" || STATUS=$?
	cat "$RESULT"
}

# verdict_of <name>: its line, without the number
verdict_of() {
	sed --quiet --regexp-extended "s|^((not )?ok) [0-9]+ $FIRST_KERNEL t/$1($\| .*)|\1\3|p" "$RESULT"
}

# assert_verdict <name> <extended regular expression>: else show why it was judged so
assert_verdict() {
	[[ $(verdict_of "$1") =~ $2 ]] ||
		fail "expected: $1 matches $2" "got:      $(verdict_of "$1")" "$(explanation_of "$1")"
}

# What was printed below that line.
explanation_of() {
	sed --quiet "/ t\/$1\( \|$\)/,/again:/p" "$RESULT"
}

last_line() {
	tail -n 1 "$RESULT"
}
