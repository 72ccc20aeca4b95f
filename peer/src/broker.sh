# Runs RabbitMQ as the first process of a process namespace, until standard input ends. With this script ends all that
# it started, Erlang's port mapper too, which would stay otherwise.
# Arguments: the folder for its files, and three free ports.
set -u
export HOME=$1 RABBITMQ_BASE=$1 RABBITMQ_MNESIA_BASE=$1/mnesia RABBITMQ_LOG_BASE=$1/log RABBITMQ_LOGS=-
export RABBITMQ_ENABLED_PLUGINS_FILE=$1/plugins RABBITMQ_PID_FILE=$1/pid
# Nothing of what an administrator configured for a broker of this machine.
export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE=$1/none RABBITMQ_ADVANCED_CONFIG_FILE=$1/none
export RABBITMQ_NODENAME=peer@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
export RABBITMQ_NODE_PORT=$2 RABBITMQ_DIST_PORT=$3 ERL_EPMD_PORT=$4 ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
# Debian's command in the PATH would change the user; the one behind it does not.
server=/usr/lib/rabbitmq/bin/rabbitmq-server
[ -x "$server" ] || server=rabbitmq-server
"$server" </dev/null &
read -r _
