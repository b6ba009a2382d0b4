import { type DestinationStream, type Logger, pino } from 'pino';

const SECRET_HEADERS = ['authorization', 'cookie', 'set-cookie', 'proxy-authorization'];
const SECRET_FIELDS = ['password', 'PGPASSWORD', 'token', 'credentials', 'authorization'];

/** JSON, a line for each entry; what may hold a secret is replaced wherever it would be written. */
export function createLog(options: { readonly level?: string; readonly destination?: DestinationStream } = {}): Logger {
  const paths = [
    ...SECRET_HEADERS.flatMap((name) => [`headers["${name}"]`, `*.headers["${name}"]`]),
    ...SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]),
  ];
  return pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: '[secret]' },
      serializers: { error: pino.stdSerializers.err },
    },
    options.destination ?? pino.destination(1),
  );
}
