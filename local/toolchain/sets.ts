import type { ToolName } from '../service.ts';

/** `linux` and `amd64` as Go and Kubernetes name them. */
export interface Platform {
  readonly os: 'linux' | 'darwin';
  readonly arch: 'amd64' | 'arm64';
}

export function currentPlatform(): Platform {
  return {
    os: process.platform === 'darwin' ? 'darwin' : 'linux',
    arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
  };
}

/** One file at the vendor. */
export interface Download {
  readonly url: string;
  /** A published list of checksums (`<sha256>  <file name>` a line), or one bare checksum. */
  readonly checksumUrl: string;
  /** Tools to their path inside a .tar.gz, or a single tool when the file is the binary itself. */
  readonly contents: ToolName | Partial<Record<ToolName, string>>;
}

/** Tools that come from one build or one archive. */
export interface ToolSet {
  /** Folder in the cache and under `modules/`. */
  readonly name: string;
  readonly version: string;
  readonly tools: readonly ToolName[];
  /** How a tool found on the machine says its version, and which versions will do. */
  readonly onMachine: {
    readonly versionArgs: readonly string[];
    accepts(version: readonly [number, number, number]): boolean;
  };
  /** Empty: the vendor publishes none. */
  downloads(platform: Platform): readonly Download[];
  /** Package to build, for each tool. */
  readonly packages: Partial<Record<ToolName, string>>;
  readonly ldflags: string;
  /**
   * A script in place of a tool that was built; the program is beside it under the name `binary`. `script` is a file in
   * this folder.
   */
  readonly launcher?: { readonly tool: ToolName; readonly binary: string; readonly script: string };
}

const PULUMI = '3.250.0';
const LANGUAGE_NODEJS = '3.65.0';
const BUILDX = '0.38.1';
const KUBERNETES = '1.34.5';
const COREDNS = '1.12.4';
const ACT = '0.2.89';
const ACTIONLINT = '1.7.12';

/** Pinned: where nothing suitable is on the machine, exactly these are downloaded or built. */
export const TOOL_SETS: readonly ToolSet[] = [
  {
    name: 'pulumi',
    version: PULUMI,
    tools: ['pulumi'],
    onMachine: {
      versionArgs: ['version'],
      // The same minor as the npm package @pulumi/pulumi.
      accepts: ([major, minor]) => major === 3 && minor === 250,
    },
    downloads: (platform) => [pulumiArchive(platform)],
    packages: { pulumi: 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi' },
    ldflags: `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI}`,
  },
  {
    // Its own module is published without tags; this is the last version of the SDK's module that holds it. It speaks
    // the same protocol. An official CLI brings a newer one beside itself, which is taken when it is there.
    name: 'language-nodejs',
    version: LANGUAGE_NODEJS,
    tools: ['pulumi-language-nodejs'],
    onMachine: { versionArgs: ['-version'], accepts: ([major]) => major === 3 },
    downloads: (platform) => [pulumiArchive(platform)],
    packages: { 'pulumi-language-nodejs': 'github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs' },
    ldflags: '-s -w',
    launcher: { tool: 'pulumi-language-nodejs', binary: 'pulumi-language-nodejs-host', script: 'language-host.sh' },
  },
  {
    name: 'buildx',
    version: BUILDX,
    tools: ['docker-buildx'],
    onMachine: {
      versionArgs: ['version'],
      accepts: ([major, minor]) => major > 0 || minor >= 12,
    },
    downloads: ({ os, arch }) => [
      {
        url: `https://github.com/docker/buildx/releases/download/v${BUILDX}/buildx-v${BUILDX}.${os}-${arch}`,
        checksumUrl: `https://github.com/docker/buildx/releases/download/v${BUILDX}/checksums.txt`,
        contents: 'docker-buildx',
      },
    ],
    packages: { 'docker-buildx': 'github.com/docker/buildx/cmd/buildx' },
    ldflags: `-s -w -X github.com/docker/buildx/version.Version=v${BUILDX}`,
  },
  {
    name: 'kubernetes',
    version: KUBERNETES,
    tools: ['kubectl', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
    onMachine: {
      versionArgs: ['--version'],
      // Servers: the pinned minor. kubectl has its own rule, see `acceptsOnMachine`.
      accepts: ([major, minor]) => major === 1 && minor === 34,
    },
    downloads: ({ os, arch }) =>
      (['kubectl', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'] as const)
        // Servers are published for Linux only.
        .filter((tool) => os === 'linux' || tool === 'kubectl')
        .map((tool) => ({
          url: `https://dl.k8s.io/release/v${KUBERNETES}/bin/${os}/${arch}/${tool}`,
          checksumUrl: `https://dl.k8s.io/release/v${KUBERNETES}/bin/${os}/${arch}/${tool}.sha256`,
          contents: tool,
        })),
    packages: Object.fromEntries(
      ['kubectl', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'].map(
        (tool) => [tool, `k8s.io/kubernetes/cmd/${tool}`],
      ),
    ),
    ldflags: [
      '-s -w',
      `-X k8s.io/component-base/version.gitVersion=v${KUBERNETES}`,
      '-X k8s.io/component-base/version.gitMajor=1',
      '-X k8s.io/component-base/version.gitMinor=34',
      `-X k8s.io/client-go/pkg/version.gitVersion=v${KUBERNETES}`,
    ].join(' '),
  },
  {
    name: 'coredns',
    version: COREDNS,
    tools: ['coredns'],
    onMachine: { versionArgs: ['-version'], accepts: ([major, minor]) => major === 1 && minor >= 11 },
    downloads: ({ os, arch }) => [
      {
        url: `https://github.com/coredns/coredns/releases/download/v${COREDNS}/coredns_${COREDNS}_${os}_${arch}.tgz`,
        checksumUrl: `https://github.com/coredns/coredns/releases/download/v${COREDNS}/coredns_${COREDNS}_${os}_${arch}.tgz.sha256`,
        contents: { coredns: 'coredns' },
      },
    ],
    packages: { coredns: 'github.com/coredns/coredns' },
    ldflags: '-s -w',
  },
  {
    // Runs GitHub workflows on this machine; only the tests of the workflows ask for it.
    name: 'act',
    version: ACT,
    tools: ['act'],
    onMachine: { versionArgs: ['--version'], accepts: (version) => version.join('.') === ACT },
    downloads: (platform) => [
      {
        url: `https://github.com/nektos/act/releases/download/v${ACT}/${actArchive(platform)}`,
        checksumUrl: `https://github.com/nektos/act/releases/download/v${ACT}/checksums.txt`,
        contents: { act: 'act' },
      },
    ],
    packages: { act: 'github.com/nektos/act' },
    ldflags: '-s -w',
  },
  {
    // As act.
    name: 'actionlint',
    version: ACTIONLINT,
    tools: ['actionlint'],
    onMachine: { versionArgs: ['-version'], accepts: (version) => version.join('.') === ACTIONLINT },
    downloads: ({ os, arch }) => [
      {
        url: `https://github.com/rhysd/actionlint/releases/download/v${ACTIONLINT}/actionlint_${ACTIONLINT}_${os}_${arch}.tar.gz`,
        checksumUrl: `https://github.com/rhysd/actionlint/releases/download/v${ACTIONLINT}/actionlint_${ACTIONLINT}_checksums.txt`,
        contents: { actionlint: 'actionlint' },
      },
    ],
    packages: { actionlint: 'github.com/rhysd/actionlint/cmd/actionlint' },
    ldflags: `-s -w -X github.com/rhysd/actionlint.version=v${ACTIONLINT}`,
  },
];

function actArchive({ os, arch }: Platform): string {
  return `act_${os === 'linux' ? 'Linux' : 'Darwin'}_${arch === 'amd64' ? 'x86_64' : 'arm64'}.tar.gz`;
}

function pulumiArchive({ os, arch }: Platform): Download {
  const file = `pulumi-v${PULUMI}-${os}-${arch === 'amd64' ? 'x64' : 'arm64'}.tar.gz`;
  return {
    url: `https://get.pulumi.com/releases/sdk/${file}`,
    checksumUrl: `https://github.com/pulumi/pulumi/releases/download/v${PULUMI}/pulumi-${PULUMI}-checksums.txt`,
    contents: { pulumi: 'pulumi/pulumi', 'pulumi-language-nodejs': 'pulumi/pulumi-language-nodejs' },
  };
}

export function toolSetOf(tool: ToolName): ToolSet {
  const found = TOOL_SETS.find((set) => set.tools.includes(tool));
  if (found === undefined) throw new Error(`no tool set provides ${tool}`);
  return found;
}

/**
 * Whether a version found on the machine will do.
 * kubectl may be one minor older or newer than the API server (Kubernetes version skew policy).
 */
export function acceptsOnMachine(tool: ToolName, version: readonly [number, number, number]): boolean {
  if (tool === 'kubectl') return version[0] === 1 && Math.abs(version[1] - 34) <= 1;
  return toolSetOf(tool).onMachine.accepts(version);
}
