#!/usr/bin/env bash
# Two processes of the page behind nginx: deploy/replicas.sh [PORT], ended by Ctrl-C. One that dies is started again.
# They listen on PORT + 1 and PORT + 2. PYTHON names the interpreter, RUN_DIR the folder for files, logs and process ids.
set -euo pipefail
port=${1:-7860}
root=$(cd "$(dirname "$0")/.." && pwd)
run=${RUN_DIR:-$(mktemp -d)}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
# What one replica writes, the other serves: uploads, maps, downloads.
export GRADIO_TEMP_DIR=${GRADIO_TEMP_DIR:-$run/files}
# The replicas share the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((($(nproc) + 1) / 2))}
mkdir -p "$run" "$GRADIO_TEMP_DIR"

replica() {
  trap 'kill "$child" 2>/dev/null; exit' TERM INT
  while true; do
    "${PYTHON:-python}" app.py --replica --host 127.0.0.1 --port "$1" &
    child=$!
    echo "$child" >"$run/replica-$1.pid"
    wait "$child" || true
    sleep 1
  done
}

cd "$root"
replica $((port + 1)) &
first=$!
replica $((port + 2)) &
second=$!
trap 'kill "$first" "$second" 2>/dev/null; kill "$(cat "$run/nginx.pid")" 2>/dev/null; wait' EXIT
trap 'exit' TERM INT

sed -e "s/:7860/:$port/; s/:7861/:$((port + 1))/; s/:7862/:$((port + 2))/" deploy/nginx.conf >"$run/nginx.conf"
"$nginx" -p "$run" -c "$run/nginx.conf" -g 'daemon off;' &
wait $!
