# One image for every actor: `docker run troupe` serves all of them, `docker run troupe --actors task` that one.
# It writes nothing outside of /data, where the embedded servers keep theirs, and /tmp.

FROM python:3.13-slim AS build
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt .
RUN pip --python /opt/venv install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements.txt
WORKDIR /app
COPY actors actors
COPY config config
COPY edge edge
COPY runtime runtime
# The root file system may be read-only and times of files change on the way: bytecode is made here, and trusted.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv /app

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Troupe" \
      org.opencontainers.image.description="A task-management backend that a team hosts itself"
RUN groupadd --gid 10001 troupe && useradd --uid 10001 --gid troupe --home-dir /data --create-home troupe
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EDGE_HOST=0.0.0.0 \
    EDGE_PORT=8080 \
    OPS_PORT=8080 \
    VAR_DIR=/data
WORKDIR /app
USER troupe
# With the edge or without it, a process answers on this port.
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["python", "-ISc", "\
from http.client import HTTPConnection as C; c = C('127.0.0.1', 8080, timeout=4); c.request('GET', '/readyz'); \
a = c.getresponse(); print(a.read().decode()); raise SystemExit(a.status != 200)"]
ENTRYPOINT ["python", "-m", "runtime"]
