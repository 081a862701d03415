# vai in an image: docker build -t vai . (fewer extras: --build-arg EXTRAS=otel)
FROM python:3.13-slim-trixie AS build
ARG EXTRAS=agent,data,files,notify,otel,temporal
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
# The versions of the lock, without its hashes and extras, which pip does not take as constraints.
RUN sed -nE 's/^([A-Za-z0-9._-]+)(\[[^]]*\])?(==[^ ;]+)( ; [^\\]*)?.*/\1\3\4/p' requirements.lock > constraints.txt
COPY src src
RUN python -m venv /opt/vai \
    && /opt/vai/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[$EXTRAS]"

FROM python:3.13-slim-trixie
# pg_dump and pg_restore, for `vai backup`: of the major version that compose.yaml's PostgreSQL has.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --home-dir /data --no-create-home vai && install -d -o vai -g vai -m 0700 /data /files
COPY --from=build /opt/vai /opt/vai
ENV PATH=/opt/vai/bin:$PATH VAI_DATA_DIR=/data VAI_HOST=0.0.0.0 VAI_LOG_FORMAT=json
USER vai
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["vai"]
CMD ["serve"]
