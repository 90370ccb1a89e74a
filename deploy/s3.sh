#!/bin/sh
# One S3 store in one process: fit for one machine, not for more. Makes the bucket when it is
# missing; nobody without the keys gets in.
set -eu
AWS_ACCESS_KEY_ID=$(cat /run/secrets/s3_access_key_id)
AWS_SECRET_ACCESS_KEY=$(cat /run/secrets/s3_secret_access_key)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
exec weed mini -dir=/data -bucket="$S3_BUCKET" -webdav=false -admin.ui=false \
  -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false
