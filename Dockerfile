# Two images from one file:
#   docker build -t credential-broker .                    the broker: brokerd, its workers, broker-cli, broker-exec
#   docker build -t credential-broker-exec --target exec . one static file, for COPY --from=credential-broker-exec /broker-exec /usr/local/bin/
# BASE is Debian 12 or something that installs its packages.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY tests/deps.sh tests/deps.sh
RUN tests/deps.sh build
COPY . .
RUN make && make install DESTDIR=/out PREFIX=/usr/local

FROM scratch AS exec
COPY --from=build /out/usr/local/bin/broker-exec /broker-exec
ENTRYPOINT ["/broker-exec"]

FROM ${BASE} AS broker
# A fixed uid: volumes outlive containers, and the sockets are opened to consumers by uid.
ARG BROKER_UID=973
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libsodium23 libmicrohttpd12 libjansson4 libseccomp2 libcyaml1 libyaml-0-2 libsecret-1-0 libssl3 libc-ares2 libzstd1 libcurl4 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid "$BROKER_UID" credential-broker \
    && useradd --system --uid "$BROKER_UID" --gid "$BROKER_UID" --home-dir /nonexistent --no-create-home \
        --shell /usr/sbin/nologin credential-broker \
    && install -d -o credential-broker -g credential-broker -m 0700 /var/lib/credential-broker \
    && install -d -o credential-broker -g credential-broker -m 0755 /run/credential-broker /etc/credential-broker
COPY --from=build /out/usr/local/ /usr/local/
USER ${BROKER_UID}:${BROKER_UID}
# State: sealed credentials and the audit log. Run: one socket directory per consumer; share it with the host, on tmpfs.
VOLUME ["/var/lib/credential-broker", "/run/credential-broker"]
# The peers' processes must be visible: run it with --pid=host (a peer that the kernel shows as pid 0 is refused).
# --system: its places are those of a service (/var/lib, /run, /etc), although it is not started as root.
ENTRYPOINT ["/usr/local/bin/brokerd", "--system"]
HEALTHCHECK --interval=30s --timeout=5s CMD ["/usr/local/bin/broker-cli", "status"]
