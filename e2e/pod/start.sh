# Makes a node of the guest: a root file system that can be written to, with the guest's own directories in it, a cgroup of version 2,
# and containerd. Runs in a mount namespace of its own (unshare -m) and stays in it.
set -e
export PATH=/bin:/work/bin

mount --make-rprivate /
mkdir -p /run/node
mount -t tmpfs node /run/node
cd /run/node
mkdir -p bin usr lib64 dev proc sys work app etc run tmp var/lib var/log lib/x86_64-linux-gnu old
for shared in bin usr lib64 dev proc sys work app; do mount --rbind "/$shared" "$shared"; done
ln -s bin sbin
ln -s ../run var/run
# runc clears its environment for a container's first process: its libraries have to be where the loader looks.
cp /work/lib/* lib/x86_64-linux-gnu
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo '127.0.0.1 localhost' >etc/hosts
echo 0123456789abcdef0123456789abcdef >etc/machine-id
pivot_root . old # runc does the same, which it cannot in a chroot
cd /
umount -l /old
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount --make-rshared /
mkdir -p /run/manifests /run/cdi
echo $$ >/work/node.pid
exec containerd --config /work/containerd.toml
