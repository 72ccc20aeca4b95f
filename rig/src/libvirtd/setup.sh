# Gives libvirtd folders and a network of its own.
server=libvirtd
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
# Guests that work have their addresses beside this one.
ip address add 10.77.255.254/16 dev "$2"
