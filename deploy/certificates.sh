#!/bin/sh
# Makes a certificate authority and certificates of the broker and of each role, for a trial:
#   deploy/certificates.sh FOLDER [NAME-OR-ADDRESS-OF-THE-BROKER…]
# A folder that has an authority keeps it, and gets new certificates. They end after 90 days. Who may read a key may be whom it names:
# only you may enter the folder. The keys in it are readable, so that a container that is given one, and has another user, can.
set -eu
folder=${1:?Say which folder the certificates are put into}
shift
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

# Prints the names that a certificate is for, as OpenSSL wants them.
names() {
  for name in "$@"; do
    case $name in
      *:* | *[0-9]) printf 'IP:%s,' "$name" ;;
      *) printf 'DNS:%s,' "$name" ;;
    esac
  done
}

# certificate FILE USAGE NAME…
certificate() {
  file=$1 usage=$2
  shift 2
  alternatives=$(names "$@")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$file.key" -subj "/O=Ringlet/CN=$file" |
    openssl x509 -req -days 90 -CA ca.crt -CAkey ca.key -CAcreateserial -out "$file.crt" -extfile /dev/fd/3 3<<EXTENSIONS
subjectAltName=${alternatives%,}
extendedKeyUsage=$usage
EXTENSIONS
  chmod 644 "$file.key"
}

if [ ! -f ca.key ]; then
  openssl req -x509 -days 365 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
    -subj "/O=Ringlet/CN=Ringlet's pool" -addext keyUsage=critical,keyCertSign,cRLSign
fi
certificate nats serverAuth nats localhost 127.0.0.1 "$@"
# nats.conf has a user of each name.
for role in server stage watch publish; do certificate "$role" clientAuth "$role"; done
