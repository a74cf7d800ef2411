# The service: `isomor serve` over /app/api, set by /app/config/isomor.yaml and ISOMOR_* variables.
#
#   docker build -t isomor .
#   docker run -p 3005:3005 -v ./my_api:/app/api isomor
#
# No `RUN --mount` and no syntax line, so that every builder takes it.

FROM python:3.13-slim AS build
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir "uv==$UV_VERSION"
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build

# What changes seldom comes first: the dependencies, as the lock has them.
COPY pyproject.toml uv.lock ./
RUN uv sync --quiet --frozen --no-dev --no-install-project

COPY README.md LICENSE ./
COPY client client
COPY service service
RUN uv sync --quiet --frozen --no-dev --no-editable \
    && uv export --quiet --frozen --no-dev --no-emit-project --no-hashes --no-annotate --output-file /app/constraints.txt
COPY docker/api_packages.py docker/sitecustomize.py /app/.venv/lib/python3.13/site-packages/
RUN python -m compileall -q /app/.venv/lib/python3.13/site-packages/api_packages.py


FROM python:3.13-slim
# tini is process 1: it hands signals on, and reaps what user code leaves behind.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /app --shell /usr/sbin/nologin isomor \
    && install -d -m 1777 /packages
# No .pyc files into the user's folder. Logs for machines; ISOMOR_LOGGING_FORMAT=text for people.
ENV PATH=/app/bin:/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ISOMOR_LOGGING_FORMAT=json
WORKDIR /app
COPY --from=build /app /app
COPY docker/isomor bin/isomor
COPY config/isomor.yaml config/schema.json config/
COPY api api

USER 10001:10001
# What /app/api/requirements.txt names. A volume, so that it is there at the next start, and with a read-only root.
VOLUME /packages
EXPOSE 3005
HEALTHCHECK --interval=5s --timeout=10s --start-period=300s --retries=3 CMD ["isomor", "health"]
ENTRYPOINT ["tini", "--", "isomor"]
CMD ["serve"]
