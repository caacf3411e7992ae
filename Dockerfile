# The image: two layers of files that scripts/image/rootfs.ts has laid out; nothing is run while it is built.
# `make image` reads this very file (scripts/image/dockerfile.ts) and writes the OCI archives without an engine.
# With one: node scripts/image/rootfs.ts && buildah build --platform=linux/amd64,linux/arm64 --manifest data-direct .
FROM scratch
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown

# Node, the C and C++ libraries it needs, CA certificates. Changes rarely, so an upgrade pulls only the layer below.
COPY build/image/rootfs-${TARGETARCH}/base/ /
# The programs and koffi's native module.
COPY build/image/rootfs-${TARGETARCH}/app/ /

LABEL org.opencontainers.image.title="Data Direct for Kubernetes"
LABEL org.opencontainers.image.description="Node agent, operator and CLI for NVIDIA ConnectX-8 Data Direct"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="${VERSION}"
LABEL org.opencontainers.image.revision="${REVISION}"

# By number, so that runAsNonRoot can be checked by the kubelet. The node agent needs root; its DaemonSet says so and why.
USER 65532:65532

# For a person on one host: `docker run … data-direct topo`. Pods name their whole command line.
ENTRYPOINT ["/node", "/app/data-direct.mjs"]
CMD ["--help"]
