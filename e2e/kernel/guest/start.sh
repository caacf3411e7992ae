# The first process of the guest after init.sh: copies the kernel's log to the host and runs the agent. When the agent
# ends, so does the machine.
export PATH=/bin:/app
cd /

port() {
  for name in /sys/class/virtio-ports/*/name; do
    if [ "$(cat "$name")" = "$1" ]; then echo "/dev/$(basename "$(dirname "$name")")"; fi
  done
}

cat /proc/kmsg >"$(port kernel-log)" &
mount -t debugfs debug /sys/kernel/debug
# A process that waits for ever in the kernel is reported with its stack, while its request still waits.
echo 15 >/proc/sys/kernel/hung_task_timeout_secs
ip link set lo up
# A word of the kernel's command line that nobody else knows is a variable here: LOAD=module,module is loaded before there is an agent.
for module in $(echo "$LOAD" | tr , ' '); do modprobe "$module"; done
node /app/agent.mjs "$(port agent)"
echo "the agent ended with exit code $?" >/dev/kmsg
sleep 0.2 # until the log has gone out
poweroff -f
