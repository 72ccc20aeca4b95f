# The first process of the rig's namespaces: sets them up, starts libvirtd whenever a line arrives, and ends with its
# standard input, that is with the test. bash reaps whatever is left to it, which libvirt relies on to see a guest end.
set -eu
folder=$1
exec 2>>"$folder/inside.log"
# As many files as its service unit lets libvirtd have.
ulimit -Sn 8192 || true

# The machine's /sys shows the machine's network.
mount -t sysfs sysfs /sys
mount --bind "$folder/etc" /etc/libvirt
for file in passwd group; do mount --bind "$folder/$file" "/etc/$file"; done
for part in lib log cache; do mount --bind "$folder/var/$part" "/var/$part"; done
mount --bind "$folder/run" /run

ip link set lo up
ip link add "$2" type bridge
ip link set "$2" up
echo ready

while read -r _; do
    libvirtd </dev/null >>"$folder/inside.log" 2>&1 &
    echo $!
done

# As the first process dies all others do. They do so here already, because they write into the folder.
kill -KILL -1 || true
for _ in {1..500}; do
    set -- "$folder" /proc/[0-9]*
    [ $# = 2 ] && break
    sleep 0.01
done
rm -rf "$folder"
