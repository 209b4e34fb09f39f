# Helpers for tests with real SAN transports; source tests/lib.sh first.  LIO is the target, on the
# same machine.  For each path, a pair of virtual network interfaces leads there: a wire.
# shellcheck shell=bash

LIO=/sys/kernel/config/target
IQN=iqn.2026-11.org.example:wire

# ---------------------------------------------------------------------------
# The disk

# make_lio_disk <number> <size>: one disk, which LIO reaches over this number of dm devices.  Each
# wire has its own, so that it can hang: hang_lun, release_lun.
make_lio_disk() {
	local n disk
	make_dm_paths "$1" "$2"
	modprobe sd_mod
	modprobe target_core_mod
	mount_configfs
	for ((n = 1; n <= $1; n++)); do
		disk=$LIO/core/iblock_$n/disk
		defer rmdir "$disk" "${disk%/*}"
		mkdir -p "$disk"
		echo "udev_path=${PATHS[n - 1]}" >"$disk/control"
		echo 1 >"$disk/enable"
		# The unique ID is derived from this.
		echo md-multipath-test >"$disk/wwn/vpd_unit_serial"
	done
}

# hang_lun <number>: the LUN on this wire does not respond, but the connection stays
hang_lun() {
	hang_path "/dev/mapper/path$(($1 - 1))"
}

release_lun() {
	release_path "/dev/mapper/path$(($1 - 1))"
}

# The number of the LUN on each wire.
LUN=0

# make_lun <directory of a target port group> <number of the wire>
make_lun() {
	mkdir -p "$1/lun/lun_$LUN"
	ln --symbolic "$LIO/core/iblock_$2/disk" "$1/lun/lun_$LUN/disk"
}

# remove_port_group <its directory>, and its target
remove_port_group() {
	rm -f "$1/lun/lun_$LUN/disk"
	rmdir "$1/lun/lun_$LUN" "$1" "${1%/*}"
}

# cut_wire <number>: the wire goes silent.  iSCSI and SRP are not told, as when a switch fails.
# Fibre Channel sees the link go down, as when a cable is pulled.
cut_wire() {
	local end
	if [[ -z $LINK_STAYS_UP ]]; then
		${NAMESPACE:+nsenter --net=/run/netns/$NAMESPACE} ip link set "target$1" down
	else
		for end in wire target; do
			tc filter add dev "$end$1" ingress matchall action drop
		done
	fi
}

mend_wire() {
	local end
	if [[ -z $LINK_STAYS_UP ]]; then
		${NAMESPACE:+nsenter --net=/run/netns/$NAMESPACE} ip link set "target$1" up
	else
		for end in wire target; do
			tc filter delete dev "$end$1" ingress
		done
	fi
}

# Set if cut_wire drops the packets that arrive at both ends.  rxe, which SRP uses, is told when it
# cannot send: over a link that is down, by a qdisc that drops, or while a qdisc is added.
LINK_STAYS_UP=

# ---------------------------------------------------------------------------
# Wires for iSCSI and NVMe over TCP.  The target is in a network namespace, because the kernel does
# not send packets between two of its own addresses over a wire.

NAMESPACE=

# lay_ip_wires <number>: create the namespace "target" and wires to it, with the addresses 10.0.N.1
# here and 10.0.N.2 there.
lay_ip_wires() {
	local n
	defer remove_module veth
	NAMESPACE=target
	defer ip netns delete target
	ip netns add target
	ip -n target link set lo up
	for ((n = 1; n <= $1; n++)); do
		ip link add "wire$n" type veth peer name "target$n" netns target
		ip address add "10.0.$n.1/24" dev "wire$n"
		ip link set "wire$n" up
		ip -n target address add "10.0.$n.2/24" dev "target$n"
		ip -n target link set "target$n" up
	done
}

# ---------------------------------------------------------------------------
# iSCSI

# needs_for_iscsi, for requires()
needs_for_iscsi() {
	local module program
	for module in iscsi_target_mod target_core_iblock iscsi_tcp veth brd; do
		have_module "$module"
	done
	for program in iscsid iscsiadm ip nsenter; do
		have_program "$program"
	done
}

remove_iscsi_target() {
	local group=$LIO/iscsi/$IQN$1/tpgt_1
	echo 0 >"$group/enable"
	rmdir "$group"/np/*
	remove_port_group "$group"
}

# make_iscsi_target <number>: it listens at the target's end of this wire
make_iscsi_target() {
	local group=$LIO/iscsi/$IQN$1/tpgt_1
	defer remove_iscsi_target "$1"
	make_lun "$group" "$1"
	echo 0 >"$group/attrib/authentication"
	echo 1 >"$group/attrib/generate_node_acls"
	echo 0 >"$group/attrib/demo_mode_write_protect"
	# A portal's socket is in the namespace of the program that creates its directory.  ip netns
	# exec would mount another /sys.
	nsenter --net=/run/netns/target mkdir "$group/np/10.0.$1.2:3260"
	echo 1 >"$group/enable"
}

start_iscsid() {
	mkdir -p /run/lock
	modprobe iscsi_tcp
	defer stop_iscsid
	iscsid
}

stop_iscsid() {
	iscsiadm --kill 0 || :
	wait_for no_iscsid
	rm -rf /var/lib/iscsi/nodes /var/lib/iscsi/send_targets
	remove_module iscsi_tcp
}

no_iscsid() {
	! pgrep --exact iscsid
}

# log_in <number>, log_out <number>: the session over this wire
log_in() {
	run_quietly iscsiadm --mode discovery --type sendtargets --portal "10.0.$1.2"
	run_quietly iscsiadm --mode node --targetname "$IQN$1" --portal "10.0.$1.2:3260" --login
	wait_for disk_of_wire "$1"
	wait_for_udev
	PATHS[$1 - 1]=/dev/$(disk_of_wire "$1")
}

log_out() {
	iscsiadm --mode node --targetname "$IQN$1" --portal "10.0.$1.2:3260" --logout
}

log_out_if_in() {
	[[ -z $(session_of_wire "$1") ]] || log_out "$1"
}

# session_of_wire <number>: print the session's directory in sysfs
session_of_wire() {
	local connection address
	for connection in /sys/class/iscsi_connection/connection*; do
		read -r address 2>/dev/null <"$connection/persistent_address" || continue
		[[ $address != "10.0.$1.2" ]] || {
			connection=${connection##*/connection}
			echo "/sys/class/iscsi_session/session${connection%%:*}"
			return
		}
	done
}

# disk_of_wire <number>: print the name of its disk, or fail
disk_of_wire() {
	local disk session
	session=$(session_of_wire "$1")
	[[ -n $session ]] || return
	disk=$(compgen -G "$session/device/target*/*/block/*") && echo "${disk##*/}"
}

# make_iscsi_paths <number> <size>: one disk over this number of wires: PATHS.  Path N - 1 is on
# wire N.
make_iscsi_paths() {
	local n
	make_lio_disk "$1" "$2"
	lay_ip_wires "$1"
	defer remove_module iscsi_target_mod
	modprobe iscsi_target_mod
	mkdir -p "$LIO/iscsi"
	defer rmdir "$LIO/iscsi"
	for ((n = 1; n <= $1; n++)); do
		make_iscsi_target "$n"
	done
	start_iscsid
	PATHS=()
	for ((n = 1; n <= $1; n++)); do
		defer log_out_if_in "$n"
		log_in "$n"
	done
}

# recovery_tmo <number>: print the timeout of the session over this wire
recovery_tmo() {
	cat "$(session_of_wire "$1")/recovery_tmo"
}

# ---------------------------------------------------------------------------
# Fibre Channel over Ethernet, without a switch (VN2VN).  Initiator N is wireN, target N is targetN.

# needs_for_fc, for requires()
needs_for_fc() {
	local module
	for module in fcoe tcm_fc target_core_iblock veth brd; do
		have_module "$module"
	done
	have_program ip
}

# port_name <wire|target> <number>: print the WWPN that fcoe makes of the interface's address
port_name() {
	local end=01
	[[ $1 == wire ]] || end=02
	echo "20:00:02:00:00:00:0$2:$end"
}

# lay_fc_wires <number>: the links stay down, because libfcoe crashes if a packet arrives while it
# creates a port
lay_fc_wires() {
	local n end
	NAMESPACE=
	defer remove_module veth
	defer remove_module fcoe
	modprobe fcoe
	for ((n = 1; n <= $1; n++)); do
		defer ip link delete "wire$n"
		ip link add "wire$n" type veth peer name "target$n"
		for end in wire target; do
			ip link set "$end$n" address "$(port_name "$end" "$n" | cut --characters=7-)"
			defer destroy_fc_port "$end$n"
			echo "$end$n" >/sys/module/libfcoe/parameters/create_vn2vn
		done
	done
}

destroy_fc_port() {
	echo "$1" >/sys/module/libfcoe/parameters/destroy
}

remove_fc_target() {
	local group
	group=$LIO/fc/$(port_name target "$1")/tpgt_1
	rm "$group"/acls/*/lun_*/lun
	rmdir "$group"/acls/*/lun_* "$group"/acls/*
	remove_port_group "$group"
}

# make_fc_target <number>: it must exist before the initiator logs in
make_fc_target() {
	local group access
	group=$LIO/fc/$(port_name target "$1")/tpgt_1
	access=$group/acls/$(port_name wire "$1")/lun_$LUN
	defer remove_fc_target "$1"
	make_lun "$group" "$1"
	mkdir -p "$access"
	ln --symbolic "$group/lun/lun_$LUN" "$access/lun"
}

# make_fc_paths <number> <size>: one disk over this number of wires: PATHS.  Path N - 1 is on
# wire N.
make_fc_paths() {
	local n
	make_lio_disk "$1" "$2"
	lay_fc_wires "$1"
	defer remove_module tcm_fc
	modprobe tcm_fc
	defer rmdir "$LIO/fc"
	mkdir -p "$LIO/fc"
	PATHS=()
	for ((n = 1; n <= $1; n++)); do
		make_fc_target "$n"
		ip link set "target$n" up
		ip link set "wire$n" up
	done
	for ((n = 1; n <= $1; n++)); do
		wait_for fc_disk_of_wire "$n"
		wait_for_udev
		PATHS+=("/dev/$(fc_disk_of_wire "$n")")
	done
}

# fc_disk_of_wire <number>: print the name of its disk, or fail
fc_disk_of_wire() {
	local disk
	disk=$(compgen -G "/sys/class/net/wire$1/ctlr_*/host*/rport-*/target*/*/block/*") &&
		echo "${disk##*/}"
}

# remote_port <number>: print the directory of the port that the initiator of this wire sees
remote_port() {
	compgen -G "/sys/class/net/wire$1/ctlr_*/host*/rport-*/fc_remote_ports/rport-*"
}

# port_time <number> <fast_io_fail_tmo|dev_loss_tmo>
port_time() {
	cat "$(remote_port "$1")/$2"
}

# ---------------------------------------------------------------------------
# SCSI RDMA Protocol, over RDMA in software (rxe).  Initiator N is wireN, target N is targetN.

# needs_for_srp, for requires()
needs_for_srp() {
	local module program
	for module in ib_srp ib_srpt rdma_rxe target_core_iblock veth brd sch_ingress cls_matchall act_gact; do
		have_module "$module"
	done
	for program in ip rdma tc; do
		have_program "$program"
	done
}

# lay_srp_wires <number>: with the addresses 10.0.N.1 here and 10.0.N.2 at the target, in one network
# namespace.  rxe binds the route to the interface of its device, so packets go over the wire.
lay_srp_wires() {
	local n end module
	NAMESPACE=
	LINK_STAYS_UP=yes
	for module in act_gact cls_matchall sch_ingress veth; do
		defer remove_module "$module"
	done
	defer remove_rdma
	modprobe rdma_rxe
	for ((n = 1; n <= $1; n++)); do
		defer ip link delete "wire$n"
		ip link add "wire$n" type veth peer name "target$n"
		ip address add "10.0.$n.1/24" dev "wire$n"
		ip address add "10.0.$n.2/24" dev "target$n"
		for end in wire target; do
			# Accept packets from an address of this machine.
			echo 1 >"/proc/sys/net/ipv4/conf/$end$n/accept_local"
			tc qdisc add dev "$end$n" clsact
			ip link set "$end$n" up
			defer rdma link delete "$end$n"
			rdma link add "$end$n" type rxe netdev "$end$n"
		done
	done
}

# modprobe --remove leaves some modules that others have loaded.
remove_rdma() {
	local module
	for module in rdma_rxe rdma_cm iw_cm ib_cm ib_core; do
		remove_module "$module"
	done
}

# srp_group <number>: print the directory of the target port group on this wire.  The target's name is
# the GID of its port.
srp_group() {
	local gid
	read -r gid <"/sys/class/infiniband/target$1/ports/1/gids/0"
	echo "$LIO/srpt/0x${gid//:/}/tpgt_1"
}

remove_srp_target() {
	local group
	group=$(srp_group "$1")
	echo 0 >"$group/enable"
	rm "$group"/acls/*/lun_*/lun
	rmdir "$group"/acls/*/lun_* "$group"/acls/*
	remove_port_group "$group"
}

# make_srp_target <number>
make_srp_target() {
	local group initiator access
	group=$(srp_group "$1")
	initiator=$(cat "/sys/class/infiniband/wire$1/node_guid")
	access=$group/acls/0x0000000000000000${initiator//:/}/lun_$LUN
	defer remove_srp_target "$1"
	make_lun "$group" "$1"
	mkdir -p "$access"
	ln --symbolic "$group/lun/lun_$LUN" "$access/lun"
	echo 1 >"$group/enable"
}

# log_in_srp <number>: the target's name is the same on all wires.  The default of tl_retry_count is 7,
# and rxe takes that as no limit.
log_in_srp() {
	local guid
	guid=$(cat /sys/module/ib_srpt/parameters/srpt_service_guid)
	guid=${guid#0x}
	echo "id_ext=$guid,ioc_guid=$guid,src=10.0.$1.1,dest=10.0.$1.2:5555,tl_retry_count=6" \
		>"/sys/class/infiniband_srp/srp-wire$1-1/add_target"
}

# make_srp_paths <number> <size>: one disk over this number of wires: PATHS.  Path N - 1 is on
# wire N.
make_srp_paths() {
	local n
	make_lio_disk "$1" "$2"
	lay_srp_wires "$1"
	defer remove_module ib_srpt
	modprobe ib_srpt
	defer rmdir "$LIO/srpt"
	mkdir -p "$LIO/srpt"
	echo 5555 >"$LIO/srpt/discovery_auth/rdma_cm_port"
	for ((n = 1; n <= $1; n++)); do
		make_srp_target "$n"
	done
	defer remove_module ib_srp
	modprobe ib_srp
	PATHS=()
	for ((n = 1; n <= $1; n++)); do
		log_in_srp "$n"
		wait_for srp_disk_of_wire "$n"
		wait_for_udev
		PATHS+=("/dev/$(srp_disk_of_wire "$n")")
	done
}

# srp_host <number>: print the directory of the initiator's SCSI host on this wire
srp_host() {
	local file
	file=$(grep --files-with-matches --line-regexp "wire$1" /sys/class/scsi_host/host*/local_ib_device)
	echo "${file%/*}"
}

# srp_disk_of_wire <number>: print the name of its disk, or fail
srp_disk_of_wire() {
	local disk
	disk=$(compgen -G "$(srp_host "$1")/device/target*/*/block/*") && echo "${disk##*/}"
}

# srp_port <number>: print the directory of the port that the initiator of this wire sees
srp_port() {
	compgen -G "$(srp_host "$1")/device/port-*/srp_remote_ports/port-*"
}

# srp_time <number> <fast_io_fail_tmo|dev_loss_tmo|reconnect_delay>
srp_time() {
	cat "$(srp_port "$1")/$2"
}

# ---------------------------------------------------------------------------
# NVMe over TCP; source tests/nvme-lib.sh, too.  Port N is at the target's end of wire N.

# needs_for_silent_nvme, for requires()
needs_for_silent_nvme() {
	needs_for_nvme
	have_module veth
	have_program nsenter
}

# make_nvme_paths <number> <size>: one disk over this number of wires: PATHS.  Path N - 1 is on
# wire N.
make_nvme_paths() {
	local n
	make_dm_paths 1 "$2"
	lay_ip_wires "$1"
	start_nvme
	make_nvme_disk wires "${PATHS[0]}" 66666666-7777-8888-9999-aaaaaaaaaaaa
	PATHS=()
	for ((n = 1; n <= $1; n++)); do
		make_nvme_port "$n" wires "10.0.$n.2"
		connect_nvme "$n" wires "10.0.$n.2"
		PATHS+=("$NEW")
	done
}

# nvme_time <number> <fast_io_fail_tmo|ctrl_loss_tmo>
nvme_time() {
	cat "$(controller_of "$1")/$2"
}

# ---------------------------------------------------------------------------
# The package's settings of the timeouts

# Install the package's rules, helpers and settings.
install_timeouts() {
	install_assembly_rules
	defer rm /etc/md-multipath.conf
	settings
}

# settings [line]...: write the settings; without lines, the package's
settings() {
	if [[ $# -eq 0 ]]; then
		cp packaging/md-multipath.conf /etc/md-multipath.conf
	else
		printf '%s\n' "$@" >/etc/md-multipath.conf
	fi
}

# Print what the helper has logged since the test began.
timeouts_log() {
	dmesg | awk '/ md-multipath test / { words = "" }
		/ md-multipath: / { sub(/.* md-multipath: /, ""); words = words $0 "\n" }
		END { printf "%s", words }'
}

count_in_log() {
	timeouts_log | grep --count --extended-regexp "$1" || :
}

# becomes <times> <line of the settings>...: what an event of the array makes of the times that the
# test's function times prints
becomes() {
	local expected=$1
	shift
	settings "$@"
	udevadm trigger --settle --action=change "/sys/block/${MD##*/}"
	assert_equal "times with $*" "$expected" "$(times)"
}
