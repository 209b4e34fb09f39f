# Helpers for the tests of group meta; source tests/lib.sh first.  These tests run the runner on
# the tests in tests/meta/fixtures and check its output.
# shellcheck shell=bash

# shellcheck source=tests/vm/common.sh
. tests/vm/common.sh

FIRST_KERNEL=$(kernel_names | head -n 1)

# run_fixtures <name>...: run these tests.  RESULT is a file with the output of tests/run, STATUS
# its exit status.  The runner builds no module, and a short time limit ends tests that hang.
# shellcheck disable=SC2034
run_fixtures() {
	RESULT=$WORK/result
	STATUS=0
	env --unset=DIR --unset=KERNEL MP_OUT="$WORK/out" MP_TESTS=tests/meta/fixtures MP_MODULE=none \
		MP_TIME_SCALE=2 tests/run -k "$FIRST_KERNEL" "${@/#/t/}" >"$RESULT" || STATUS=$?
	cat "$RESULT"
}

# result_of <name>: print a test's result line without its number.
result_of() {
	sed --quiet --regexp-extended "s|^((not )?ok) [0-9]+ $FIRST_KERNEL t/$1($\| .*)|\1\3|p" "$RESULT"
}

# assert_result <name> <extended regular expression>: on failure, show the runner's explanation.
assert_result() {
	[[ $(result_of "$1") =~ $2 ]] ||
		fail "expected: $1 matches $2" "got:      $(result_of "$1")" "$(explanation_of "$1")"
}

# Print the lines below a test's result line.
explanation_of() {
	sed --quiet "/ t\/$1\( \|$\)/,/again:/p" "$RESULT"
}

last_line() {
	tail -n 1 "$RESULT"
}
