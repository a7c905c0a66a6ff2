#!/bin/sh
# A walk through the module at a shell. It needs the dagger command, an engine that it can
# reach, and a key in ANTHROPIC_API_KEY. Without a key, start the scripted demo model in
# another terminal (aideator scripted-model --port 4400), and run this with
#   ACCESS=--model-service=tcp://127.0.0.1:4400 examples/shell.sh
#
# usage: examples/shell.sh [REPOSITORY [PROMPT]]
set -eu

repository=${1:-.}
prompt=${2:-"Improve the README."}
access=${ACCESS:---api-key=env://ANTHROPIC_API_KEY}
module=$(dirname "$0")/..
results=${RESULTS:-./results}

echo "== What the module can do"
dagger --silent -m "$module" functions

echo "== Two attempts under two conditions, compared in a table and saved as files"
dagger --progress=plain -m "$module" call "$access" \
    with-condition --label=small --instructions="Make the smallest edit that does it." \
    with-condition --label=thorough --instructions="Look for every place that needs it." \
    with-limits --max-turns=30 --max-run-cost-usd=2 \
    run-variations --source="$repository" --prompt="$prompt" --check="git --version" \
    results export --path="$results"

cat "$results/report.md"

echo "== The first one's patch; put it into a checkout with git apply"
cat "$results/variation-1/changes.patch"
