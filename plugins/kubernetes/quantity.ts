/**
 * The canonical form of Kubernetes quantities (`1000m` is `1`, `1024Mi` is `1Gi`), which is what the API server stores.
 * Rules: k8s.io/apimachinery/pkg/api/resource, "Quantity": no fractional digits, the largest suffix that allows it.
 */

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const NANO = 1_000_000_000n;
const FORM = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;

/** The canonical text; what is no quantity comes back as it is. */
export function canonicalQuantity(input: string | number): string {
  const text = String(input);
  const match = FORM.exec(text.trim());
  if (match === null) return text;
  const [, sign = '', digits = '0', suffix = ''] = match;
  const nanos = scale(digits, suffix);
  if (nanos === undefined) return text;
  if (nanos === 0n) return '0';
  const minus = sign === '-' ? '-' : '';
  if (suffix.endsWith('i') && nanos >= 1024n * NANO && nanos % NANO === 0n) return minus + binary(nanos / NANO);
  if (/^[eE]/.test(suffix) && suffix.length > 1) return minus + exponent(nanos);
  return minus + decimal(nanos);
}

/** The value in units of 10^-9, rounded up; undefined when it is absurdly large. */
function scale(digits: string, suffix: string): bigint | undefined {
  const [whole = '', fraction = ''] = digits.split('.');
  let numerator = BigInt(`${whole}${fraction}` || '0') * NANO;
  let denominator = 10n ** BigInt(fraction.length);
  if (suffix.endsWith('i')) numerator *= 1024n ** BigInt(BINARY.indexOf(suffix));
  else if (suffix.length > 1) {
    const power = Number(suffix.slice(1));
    if (Math.abs(power) > 30) return undefined;
    if (power >= 0) numerator *= 10n ** BigInt(power);
    else denominator *= 10n ** BigInt(-power);
  } else {
    const power = (DECIMAL.indexOf(suffix) - 3) * 3;
    if (power >= 0) numerator *= 10n ** BigInt(power);
    else denominator *= 10n ** BigInt(-power);
  }
  return (numerator + denominator - 1n) / denominator;
}

function binary(value: bigint): string {
  let index = 0;
  let rest = value;
  while (index < BINARY.length - 1 && rest % 1024n === 0n) {
    rest /= 1024n;
    index += 1;
  }
  return `${rest}${BINARY[index] ?? ''}`;
}

function decimal(nanos: bigint): string {
  let index = 0;
  let rest = nanos;
  while (index < DECIMAL.length - 1 && rest % 1000n === 0n) {
    rest /= 1000n;
    index += 1;
  }
  return `${rest}${DECIMAL[index] ?? ''}`;
}

function exponent(nanos: bigint): string {
  let power = -9;
  let rest = nanos;
  while (rest % 1000n === 0n) {
    rest /= 1000n;
    power += 3;
  }
  return power === 0 ? `${rest}` : `${rest}e${power}`;
}
