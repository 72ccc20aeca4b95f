# The first process of the namespaces: sets them up, starts the server whenever a line arrives, and ends with its
# standard input, that is with the test. bash reaps whatever is left to it, which libvirt relies on to see a guest end.
set -eu
folder=$1
exec 2>>"$folder/inside.log"
# It says what the server is.
. "$folder/setup.sh"
echo ready

while read -r _; do
    "$server" </dev/null >>"$folder/inside.log" 2>&1 &
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
