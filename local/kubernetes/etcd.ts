import { mkdirSync } from 'node:fs';
import { program } from '../requirements.ts';
import { ETCD_CLIENT_NAME, etcdClientCertificate, etcdServerCertificate } from './certificates.ts';
import { component } from './component.ts';
import { dataDirectory, ETCD_PEER_PORT, ETCD_PORT } from './facts.ts';
import { answersOk } from './request.ts';

const URL_ = `https://127.0.0.1:${ETCD_PORT}`;

/** The cluster's state; only the API server's certificate is let in. */
export const etcd = component({
  name: 'etcd',
  url: URL_,
  dependsOn: [],
  ports: [ETCD_PORT, ETCD_PEER_PORT],
  async prepare(ctx) {
    const data = dataDirectory(ctx, 'etcd');
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const server = await etcdServerCertificate(ctx);
    const peer = `https://127.0.0.1:${ETCD_PEER_PORT}`;
    return {
      command: program('etcd'),
      changed: false,
      args: [
        '--name=local',
        `--data-dir=${data}`,
        `--listen-client-urls=${URL_}`,
        `--advertise-client-urls=${URL_}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=local=${peer}`,
        `--cert-file=${server.certFile}`,
        `--key-file=${server.keyFile}`,
        `--trusted-ca-file=${server.caFile}`,
        '--client-cert-auth',
        `--client-cert-allowed-hostname=${ETCD_CLIENT_NAME}`,
        `--peer-cert-file=${server.certFile}`,
        `--peer-key-file=${server.keyFile}`,
        `--peer-trusted-ca-file=${server.caFile}`,
        '--peer-client-cert-auth',
        // The gateway for JSON would connect as a client that is not let in.
        '--enable-grpc-gateway=false',
        '--auto-compaction-retention=1',
        '--logger=zap',
        '--log-level=warn',
      ],
    };
  },
  async health(ctx) {
    return await answersOk(`${URL_}/health`, async () => {
      const client = await etcdClientCertificate(ctx);
      return { caFile: client.caFile, client };
    });
  },
});
