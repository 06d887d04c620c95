#!/bin/sh
# The composition is valid; nothing is pulled or started.
set -eu

docker-compose -f docker-compose.automation.yml config -q
echo 'check-compose: passed'
