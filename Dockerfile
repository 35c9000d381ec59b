# One image for all commands:  docker run … dovetail [serve --host 0.0.0.0 | migrate | user promote EMAIL]
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Install dependencies first, so that a change of the code does not rebuild this layer. The image has the extra `chat`.
COPY requirements-chat.txt requirements-build.txt ./
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/python -m pip install --require-hashes -r requirements-chat.txt \
 && python -m pip install --require-hashes -r requirements-build.txt

COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY resolvers resolvers
COPY schema schema
COPY gateway gateway
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/gateway/bin/python -m pip install --no-deps /dist/dovetail-*.whl


FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid gateway --no-create-home --home-dir /data --shell /usr/sbin/nologin gateway \
 && install --directory --owner=gateway --group=gateway /data
COPY --from=build /opt/gateway /opt/gateway

ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production

# Paths in settings are relative to the working folder: data/gateway.db is /data/gateway.db, and uploads go to /data/uploads.
# The server writes nowhere else.
WORKDIR /
VOLUME /data
USER gateway
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
server = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', 8000)), timeout=4); \
server.request('GET', '/api/health/live'); \
sys.exit(server.getresponse().status != 200)"]

ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0"]
