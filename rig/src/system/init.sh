#!/bin/busybox sh
# The first process of a guest that works. It never ends. What to do stands in its environment, where the kernel puts
# what its command line has and it does not know itself.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/ttyS0 2>&1

# Some need others, which this finds out.
for attempt in 1 2 3 4 5; do
    for module in /modules/*.ko; do
        insmod "$module" 2>/dev/null
    done
done
ip link set eth0 up
ip address add "$rig_address/16" dev eth0

# Hundredths of a second since the start.
tell_time() {
    read -r now rest </proc/uptime
    now=${now%.*}${now#*.}
}

# From then on these numbers do not begin with a zero, and are not taken for octal ones.
sleep 1

burn() {
    while :; do
        tell_time
        until=$((now + rig_cpu / 5))
        while [ "$now" -lt "$until" ]; do
            tell_time
        done
        usleep $((200000 - rig_cpu * 2000))
    done
}

# Ten times a second, whatever it takes.
use_disk() {
    block=0
    tell_time
    next=$now
    while :; do
        dd if=/dev/vda of=/dev/null bs="$rig_read" count=1 skip=$block iflag=direct status=none
        dd if=/dev/zero of=/dev/vda bs="$rig_written" count=1 seek=$block oflag=direct conv=notrunc status=none
        block=$(((block + 1) % 256))
        next=$((next + 10))
        tell_time
        [ "$now" -ge "$next" ] || usleep $(((next - now) * 10000))
    done
}

for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
    [ "$rig_cpu" = 0 ] || burn &
done
use_disk &
ping -q -i "$rig_pause" -s "$rig_ping" "$rig_peer" >/dev/null &

nic=/sys/class/net/eth0/statistics
while :; do
    read -r reads merged read_sectors spent writes merged written_sectors rest </sys/block/vda/stat
    read -r in_bytes <$nic/rx_bytes
    read -r in_packets <$nic/rx_packets
    read -r out_bytes <$nic/tx_bytes
    read -r out_packets <$nic/tx_packets
    echo "counted $reads $read_sectors $writes $written_sectors $in_packets $in_bytes $out_packets $out_bytes"
    sleep 1
done
