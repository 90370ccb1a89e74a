#!/bin/sh
# Makes the secrets that docker-compose.yml mounts: random, one file each, kept out of git. What
# exists is kept, so it can be run again. The folder is closed to other users; the files themselves
# are readable, because the containers read them under several user ids.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
cd secrets
command -v openssl >/dev/null || { echo "openssl is needed to make secrets" >&2; exit 1; }

keep_or_make() {
  cat > "$1.draft"
  if [ -s "$1" ]; then
    rm "$1.draft"
  else
    chmod 444 "$1.draft"
    mv "$1.draft" "$1"
    echo "made deploy/secrets/$1"
  fi
}

for name in postgres_password temporal_database_password database_password secret_key \
  s3_access_key_id s3_secret_access_key grafana_password; do
  openssl rand -hex 24 | keep_or_make "$name"
done
# Encrypts what jobs hold. Keep a copy with your backups: nothing else can read them.
echo "$(date +%Y-%m-%d):$(openssl rand -base64 32)" | keep_or_make encryption_keys
echo "postgresql://conveyor:$(cat database_password)@postgres:5432/conveyor" |
  keep_or_make database_url
# The mail catcher; replace the line with your relay, smtp://user:password@host:587.
echo "smtp://mail:1025" | keep_or_make smtp_url
if [ ! -s mail_certificate ] || [ ! -s mail_key ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj /CN=mail -addext subjectAltName=DNS:mail -addext basicConstraints=critical,CA:FALSE \
    -keyout key.draft -out certificate.draft 2>/dev/null
  rm -f mail_key mail_certificate
  keep_or_make mail_key < key.draft
  keep_or_make mail_certificate < certificate.draft
  rm -f key.draft certificate.draft
fi
