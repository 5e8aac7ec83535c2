// The whole project on Railway: web, worker, and a Valkey that keeps what it was told. `railway config plan` shows, `railway config
// apply` makes it. Before the first apply: put your repository's name below, and set the values that are preserved as variables.
import { defineRailway, github, image, preserve, project, service, volume } from "railway/iac";

export default defineRailway(() => {
  const source = github("OWNER/REPOSITORY", { branch: "main" });

  const data = volume("valkey-data", { sizeMB: 5120 });
  const valkey = service("valkey", {
    source: image("valkey/valkey:8-alpine"),
    // sh, for the password; exec, for SIGTERM. Every write goes to the file, and nothing is ever evicted.
    start:
      "/bin/sh -c 'exec valkey-server --dir /data --appendonly yes --appendfsync everysec --maxmemory-policy noeviction --bind \"* -::*\" --requirepass \"$VALKEY_PASSWORD\"'",
    volumeMounts: { "/data": data },
    env: { VALKEY_PASSWORD: preserve() },
    deploy: { restartPolicyType: "ALWAYS", drainingSeconds: 30 },
  });

  const env = {
    REDIS_URL: "redis://default:${{valkey.VALKEY_PASSWORD}}@${{valkey.RAILWAY_PRIVATE_DOMAIN}}:6379",
    HOOKLINE_SECRET_KEY: preserve(),
    HOOKLINE_CALLBACK_SECRET: preserve(),
    HOOKLINE_API_KEYS: preserve(),
    HOOKLINE_PUBLIC_URL: preserve(),
    SOURCE_FIREFLIES_SECRET: preserve(),
  };

  const web = service("web", {
    source,
    start: "hookline web",
    healthcheck: "/healthz", // not /readyz: without a worker events are still taken, and wait
    healthcheckTimeout: 60,
    replicas: 1,
    env,
    // The old one answers until the new one does; draining is longer than what uvicorn takes to end.
    deploy: { restartPolicyType: "ALWAYS", overlapSeconds: 10, drainingSeconds: 20, sleepApplication: false },
  });

  const worker = service("worker", {
    source,
    start: "hookline worker", // no health check, no domain: it has no port
    replicas: 1,
    env: { ...env, HOOKLINE_SHUTDOWN_GRACE: "25s" },
    // Longer than the grace and what comes behind it: jobs go back, callbacks under way end.
    deploy: { restartPolicyType: "ALWAYS", overlapSeconds: 0, drainingSeconds: 45, sleepApplication: false },
  });

  return project("hookline", { resources: [valkey, data, web, worker] });
});
