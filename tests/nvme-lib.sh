# Helpers for tests with NVMe namespaces; source tests/lib.sh first.  The kernel's target is on the
# same machine, and TCP leads there, because Debian 12 has no other transport without hardware.
# shellcheck shell=bash

NVMET=/sys/kernel/config/nvmet
NQN=nqn.2026-11.org.example:md-multipath
HOST=11111111-2222-3333-4444-555555555555

needs_for_nvme() {
	local module
	for module in nvmet_tcp nvme_tcp brd; do
		have_module "$module"
	done
	have_program ip
}

# Load the initiator without its own multipathing, and the target.
start_nvme() {
	local module
	for module in nvmet nvme_core nvme_fabrics nvmet_tcp nvme_tcp; do
		defer remove_module "$module"
	done
	modprobe nvme_core multipath=N
	modprobe nvme_tcp
	modprobe nvmet_tcp
	mount_configfs
	start_loopback
}

start_loopback() {
	[[ $(</sys/class/net/lo/flags) == 0x*[13579bdf] ]] || {
		defer ip link set lo down
		ip link set lo up
	}
}

# make_nvme_disk <name> <device> <UUID>: a subsystem whose namespace has only this ID.
make_nvme_disk() {
	local subsystem=$NVMET/subsystems/$NQN:$1
	defer remove_nvme_disk "$subsystem"
	mkdir "$subsystem" "$subsystem/namespaces/1"
	echo 1 >"$subsystem/attr_allow_any_host"
	echo "$2" >"$subsystem/namespaces/1/device_path"
	echo "$3" >"$subsystem/namespaces/1/device_uuid"
	echo 1 >"$subsystem/namespaces/1/enable"
}

remove_nvme_disk() {
	rmdir "$1/namespaces/1" "$1"
}

# make_nvme_port <number> <name of a disk> [address]
make_nvme_port() {
	local port=$NVMET/ports/$1
	defer remove_nvme_port "$port"
	mkdir "$port"
	echo tcp >"$port/addr_trtype"
	echo ipv4 >"$port/addr_adrfam"
	echo "${3-127.0.0.1}" >"$port/addr_traddr"
	echo $((4420 + $1)) >"$port/addr_trsvcid"
	# The port's socket is in the network namespace of the program that makes this link.
	${NAMESPACE:+nsenter --net=/run/netns/$NAMESPACE} \
		ln --symbolic "$NVMET/subsystems/$NQN:$2" "$port/subsystems/"
}

remove_nvme_port() {
	rm "$1"/subsystems/*
	rmdir "$1"
}

# connect_nvme <number of a port> <name of its disk> [address]: connect, and set NEW to the disk that
# appears.
connect_nvme() {
	defer disconnect_nvme "$1"
	printf 'transport=tcp,traddr=%s,trsvcid=%s,nqn=%s,hostnqn=%s,hostid=%s' \
		"${3-127.0.0.1}" $((4420 + $1)) "$NQN:$2" "$NQN:host" "$HOST" >/dev/nvme-fabrics
	wait_for nvme_disk "$1"
	wait_for_udev
	# shellcheck disable=SC2034
	NEW=$(nvme_disk "$1")
}

# controller_of <number of a port>: print the controller's directory in sysfs.
controller_of() {
	local controller
	for controller in /sys/class/nvme/*; do
		[[ ! -e $controller || $(<"$controller/address") != *"trsvcid=$((4420 + $1))"* ]] ||
			echo "$controller"
	done
}

# nvme_disk <number of a port>: print the disk behind the port.
nvme_disk() {
	local disk
	disk=$(echo "$(controller_of "$1")"/nvme*n*)
	[[ -e $disk && -b /dev/${disk##*/} ]] && echo "/dev/${disk##*/}"
}

disconnect_nvme() {
	local controller
	controller=$(controller_of "$1")
	[[ -z $controller ]] || {
		echo 1 >"$controller/delete_controller"
		wait_for gone "$controller"
	}
}
