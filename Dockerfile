# syntax=docker/dockerfile:1
# One image for every process: `web` unless told otherwise, `worker --lane urgent`, `scheduler`, `migrate`.
# docs/deployment/DOCKER.md has its size and how to check it.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# `otel` for tracing.
ARG REQUIREMENTS=base
COPY requirements/${REQUIREMENTS}.txt requirements.txt
RUN python3 -m venv --without-pip /opt/venv \
 && python3 -m pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile --no-deps --requirement requirements.txt \
 && rm requirements.txt
ENV PATH=/opt/venv/bin:$PATH \
    DJANGO_SETTINGS_MODULE=commsproject.settings.prod
COPY manage.py ./
COPY commsproject commsproject
COPY conversations conversations
COPY notifications notifications
COPY templates_app templates_app
COPY tracking tracking
COPY deploy/docker/slim.py /opt/slim.py
# What production demands, made up: nothing of it stays in the image. What is imported here has its
# bytecode in the image, where nothing can be written later.
RUN export SECRET_KEY=build ADDRESS_HASH_KEY=build PUBLIC_URL=https://build.invalid DEFAULT_FROM_EMAIL=build@example.com \
 && PYTHONDONTWRITEBYTECODE=1 python manage.py collectstatic --noinput --verbosity 0 --ignore redoc --ignore rest_framework \
 && python /opt/slim.py /opt/venv/lib/python3.*/site-packages /app/staticfiles \
 && python manage.py check \
 && python manage.py web --help > /dev/null \
 && python manage.py worker --help > /dev/null \
 && python -c "import commsproject.asgi, commsproject.common.heartbeat"

FROM ${PYTHON}
RUN python3 -m pip uninstall --quiet --yes --root-user-action=ignore pip setuptools wheel \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin comms \
 && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    DJANGO_SETTINGS_MODULE=commsproject.settings.prod \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8002 \
    HEARTBEAT_FILE=/tmp/heartbeat
USER 10001:10001
EXPOSE 8002
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-m", "commsproject.common.heartbeat"]
ENTRYPOINT ["python", "manage.py"]
CMD ["web"]
