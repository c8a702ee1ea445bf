# The services, one target each: `docker build --target router .`; docker-compose.yml builds them all.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# A company's registry settings and authorities are here while npm runs, and in no layer.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
    NODE_EXTRA_CA_CERTS=$([ -s /run/secrets/ca ] && echo /run/secrets/ca || true) \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM ${NODE_IMAGE} AS service
# Of a health check, which starts a Node every five seconds, compiling is more than half. /tmp is in memory.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/tmp/node-compile-cache
WORKDIR /app
# What a container may write is mounted here, and belongs to whoever the operator runs the containers as.
RUN mkdir -m 1777 /data
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY proto/airlock.binpb proto/health.binpb proto/
COPY proto/gen proto/gen
COPY services/common services/common
COPY services/health-probe.ts services/
USER 10001:10001

FROM service AS gateway
COPY gateway gateway
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 \
    CMD ["node", "-e", "require(process.env.TLS_CERT ? 'node:https' : 'node:http').get({ host: '127.0.0.1', port: process.env.AIRLOCK_PORT || 8000, path: '/health', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "gateway/main.ts"]

FROM service AS router
COPY services/router services/router
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "router"]
CMD ["node", "services/router/main.ts"]

FROM service AS pool-manager
COPY services/pool-manager services/pool-manager
COPY worker worker
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "pool-manager"]
CMD ["node", "services/pool-manager/main.ts"]

FROM service AS secrets
COPY services/secrets services/secrets
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "secrets"]
CMD ["node", "services/secrets/main.ts"]

FROM service AS sanitizer
COPY services/sanitizer services/sanitizer
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "sanitizer"]
CMD ["node", "services/sanitizer/main.ts"]

FROM service AS egress
COPY services/egress services/egress
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "egress"]
CMD ["node", "services/egress/main.ts"]

FROM service AS authority
COPY services/authority services/authority
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=6 CMD ["node", "services/health-probe.ts", "authority"]
CMD ["node", "services/authority/main.ts"]
