import { createHash } from 'node:crypto';

export interface ImageFile {
  /** Without a leading slash. */
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

export interface ImageOptions {
  /** `repository:tag`. */
  readonly reference: string;
  readonly files: readonly ImageFile[];
  readonly entrypoint: readonly string[];
  /** As Go names it. */
  readonly architecture: 'amd64' | 'arm64';
}

const BLOCK = 512;

/** A tar archive (POSIX ustar) whose bytes depend on nothing but its content: no times, root owns all. */
export function tarArchive(files: readonly ImageFile[]): Buffer {
  const parts = files.flatMap(({ name, mode, content }) => {
    if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header (100 bytes)`);
    const header = Buffer.alloc(BLOCK);
    const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
    header.write(name, 0);
    header.write(octal(mode, 8), 100);
    header.write(octal(0, 8), 108);
    header.write(octal(0, 8), 116);
    header.write(octal(content.length, 12), 124);
    header.write(octal(0, 12), 136);
    header.write(' '.repeat(8), 148);
    header.write('0', 156);
    header.write('ustar\0' + '00', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** An image of one layer in the OCI layout (image-spec, image-layout.md), as `ctr images import` takes it. */
export function imageArchive(options: ImageOptions): Buffer {
  const layer = tarArchive(options.files);
  const config = json({
    architecture: options.architecture,
    os: 'linux',
    config: { Entrypoint: options.entrypoint },
    rootfs: { type: 'layers', diff_ids: [digest(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: { 'io.containerd.image.name': options.reference },
      },
    ],
  });
  const blob = (content: Buffer): ImageFile => ({
    name: `blobs/sha256/${digest(content).slice('sha256:'.length)}`,
    mode: 0o644,
    content,
  });
  return tarArchive([
    { name: 'oci-layout', mode: 0o644, content: json({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', mode: 0o644, content: index },
    blob(manifest),
    blob(config),
    blob(layer),
  ]);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function digest(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function descriptor(mediaType: string, content: Buffer) {
  return { mediaType, digest: digest(content), size: content.length };
}
