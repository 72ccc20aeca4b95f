# Takes a kernel, its virtio modules and busybox out of Debian's packages, without installing them.
# Argument: the folder for them.
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# So that apt-get downloads as its own user, also where root runs this.
chmod 755 "$work"
mkdir -m 777 "$work/packages"
cd "$work/packages"

# The package with the kernel is the one that a package without a version names: on Debian the first of these, on Ubuntu
# the second.
versioned() {
    for package in linux-image-cloud-amd64 linux-image-virtual; do
        apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p'
    done | head -n 1
}

kernel=$(versioned)
if [ -z "$kernel" ] && [ "$(id -u)" = 0 ]; then
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update
    kernel=$(versioned)
fi
if [ -z "$kernel" ]; then
    echo 'No package of a kernel is known. Run as root: apt-get update' >&2
    exit 1
fi
apt-get -o Acquire::Retries=3 download "$kernel" busybox-static
for package in *.deb; do
    dpkg-deb --extract "$package" "$work/unpacked"
done

rm -rf "$folder"
mkdir -p "$folder/modules"
cp "$work/unpacked/boot/vmlinuz"* "$folder/vmlinuz"
busybox=$(find "$work/unpacked" -type f -name busybox -path '*bin/*')
# What is built into the kernel is not there.
for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_balloon \
    failover net_failover virtio_net; do
    find "$work/unpacked" -name "$module.ko*" -exec cp {} "$folder/modules" \;
done
for module in "$folder/modules/"*.ko.xz; do
    [ ! -e "$module" ] || "$busybox" unxz "$module"
done
# The last, by which one sees that all is there.
cp "$busybox" "$folder/busybox"
