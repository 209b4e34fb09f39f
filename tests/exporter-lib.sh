# Helpers for tests with Prometheus' node_exporter; source tests/lib.sh first.
# shellcheck shell=bash

PORT=9100

needs_for_exporter() {
	have_program prometheus-node-exporter
	[[ -d /proc/sys/net/ipv4 ]] || SKIP_REASONS+=("a kernel without IPv4")
}

# start_exporter <collector> [option]...: with this collector only
start_exporter() {
	busybox ip link set lo up
	prometheus-node-exporter --collector.disable-defaults --collector."$1" "${@:2}" \
		--web.listen-address="127.0.0.1:$PORT" >"$WORK/exporter.log" 2>&1 &
	defer end_program $!
	wait_for exported '^node_scrape_collector_success'
}

# exported <extended regular expression>: print the lines of its metrics that match
exported() {
	local connection
	exec {connection}<>"/dev/tcp/127.0.0.1/$PORT" || return
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&"$connection"
	grep --extended-regexp "$1" <&"$connection"
	exec {connection}>&-
}
