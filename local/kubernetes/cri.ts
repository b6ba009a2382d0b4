import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'google-protobuf';
import { containerdSocket } from './facts.ts';

/**
 * The few calls of the Container Runtime Interface (k8s.io/cri-api, runtime/v1/api.proto) that stopping a node needs:
 * the kubelet leaves pods running when it ends, and only these calls give network and mounts back.
 */

export interface CriContainer {
  readonly id: string;
  readonly running: boolean;
}

export interface Cri {
  /** Version of the runtime. */
  version(): Promise<string>;
  containers(): Promise<CriContainer[]>;
  sandboxes(): Promise<string[]>;
  /** SIGTERM, then SIGKILL after `graceSeconds`. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Ends what still runs in it and gives its network back. */
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  close(): void;
}

const SERVICE = '/runtime.v1.RuntimeService';
/** ContainerState.CONTAINER_RUNNING */
const RUNNING = 1;

export function encodeId(id: string, timeoutSeconds?: number): Uint8Array {
  const writer = new protobuf.BinaryWriter();
  writer.writeString(1, id);
  if (timeoutSeconds !== undefined) writer.writeInt64(2, timeoutSeconds);
  return writer.getResultBuffer();
}

/** Messages of field 1, each with its id (field 1) and the number in `stateField`. */
export function decodeList(bytes: Uint8Array, stateField: number): { id: string; state: number }[] {
  const items: { id: string; state: number }[] = [];
  const reader = new protobuf.BinaryReader(bytes);
  while (reader.nextField() && !reader.isEndGroup()) {
    if (reader.getFieldNumber() !== 1) {
      reader.skipField();
      continue;
    }
    // proto3 leaves out a zero.
    const item = { id: '', state: 0 };
    reader.readMessage(item, () => {
      while (reader.nextField() && !reader.isEndGroup()) {
        if (reader.getFieldNumber() === 1) item.id = reader.readString();
        else if (reader.getFieldNumber() === stateField) item.state = reader.readEnum();
        else reader.skipField();
      }
    });
    items.push(item);
  }
  return items;
}

function decodeVersion(bytes: Uint8Array): string {
  const reader = new protobuf.BinaryReader(bytes);
  let version = '';
  while (reader.nextField() && !reader.isEndGroup()) {
    if (reader.getFieldNumber() === 3) version = reader.readString();
    else reader.skipField();
  }
  return version;
}

/** Connects at the first call; `close` ends it. */
export function openCri(socket: string = containerdSocket()): Cri {
  const client = new Client(`unix://${socket}`, credentials.createInsecure());
  const call = (method: string, request: Uint8Array, timeoutMs: number) =>
    new Promise<Uint8Array>((resolve, reject) => {
      client.makeUnaryRequest(
        `${SERVICE}/${method}`,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => new Uint8Array(bytes),
        request,
        { deadline: Date.now() + timeoutMs },
        (error, value) => {
          if (error !== null) reject(error);
          else resolve(value ?? new Uint8Array());
        },
      );
    });
  const empty = new Uint8Array();
  return {
    version: async () => decodeVersion(await call('Version', empty, 3000)),
    containers: async () =>
      decodeList(await call('ListContainers', empty, 10_000), 6).map(({ id, state }) => ({
        id,
        running: state === RUNNING,
      })),
    sandboxes: async () => decodeList(await call('ListPodSandbox', empty, 10_000), 3).map(({ id }) => id),
    async stopContainer(id, graceSeconds) {
      await call('StopContainer', encodeId(id, graceSeconds), (graceSeconds + 20) * 1000);
    },
    async stopSandbox(id) {
      await call('StopPodSandbox', encodeId(id), 30_000);
    },
    async removeSandbox(id) {
      await call('RemovePodSandbox', encodeId(id), 30_000);
    },
    close: () => client.close(),
  };
}

/** Stops and removes every pod: containers get `graceSeconds` to end by themselves. */
export async function removeAllPods(cri: Cri, graceSeconds: number): Promise<void> {
  const running = (await cri.containers()).filter((container) => container.running);
  // One that ends meanwhile, or that cannot be stopped, goes with its sandbox below.
  await Promise.allSettled(running.map((container) => cri.stopContainer(container.id, graceSeconds)));
  const results = await Promise.allSettled(
    (await cri.sandboxes()).map(async (id) => {
      await cri.stopSandbox(id);
      await cri.removeSandbox(id);
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
