# A static tidegate and nothing else: docker build -t tidegate .
FROM rust:1.95-alpine AS build
# The C compiler builds ring, which does TLS.
# hadolint ignore=DL3018
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY . .
RUN cargo install --locked --path . --root /out \
    && strip /out/bin/tidegate \
    && mkdir -p /out/home /out/tmp \
    && chmod 1777 /out/tmp

# No certificates of a distribution: tidegate has Mozilla's.
FROM scratch
COPY --from=build /out/bin/tidegate /usr/local/bin/tidegate
COPY --from=build --chown=65532:65532 /out/home /home/tidegate
COPY --from=build /out/tmp /tmp
ENV HOME=/home/tidegate
USER 65532:65532
WORKDIR /images
ENTRYPOINT ["/usr/local/bin/tidegate"]
