# One image for web and worker: `docker run … hookline web`, `docker run … hookline worker`.
FROM python:3.13-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY README.md ./
COPY handlers handlers
COPY infra infra
COPY ingest ingest
COPY worker worker
RUN uv sync --locked --no-dev --no-editable

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home hookline
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY sources.toml ./
COPY handlers handlers
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# The exec form: a shell as process 1 would keep SIGTERM to itself.
ENTRYPOINT ["hookline"]
CMD ["web"]
