/**
 * Diff of the provider itself: its resources are replaced when it points at another cluster, as far as a kubeconfig tells.
 * With `clusterIdentifier` the user says which cluster it is, and only a change of that replaces.
 */

import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { DiffResult } from '../framework/provider.ts';
import type { PropertyMap } from '../framework/values.ts';
import { isUnknown, unwrapMap } from '../framework/values.ts';
import { kubeconfigText } from './config.ts';
import { getList, getString } from './object.ts';

const LOCATION = ['kubeconfig', 'context', 'cluster'];

export function diffProviderConfig(markedOlds: PropertyMap, markedNews: PropertyMap): DiffResult {
  const olds = unwrapMap(markedOlds);
  const news = unwrapMap(markedNews);
  const same = (key: string): boolean => JSON.stringify(olds[key]) === JSON.stringify(news[key]);
  const diffs = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((key) => !same(key)).sort();
  if (diffs.length === 0) return { changes: false };
  const before = olds.clusterIdentifier ?? '';
  const after = news.clusterIdentifier ?? '';
  if (before !== '' && before === after) return { changes: true, diffs, replaces: [] };
  const replaces = new Set<string>(before !== '' && after !== '' && before !== after ? ['clusterIdentifier'] : []);
  // Not known yet may be another cluster.
  for (const key of LOCATION) if (isUnknown(news[key])) replaces.add(key);
  const from = activeCluster(olds);
  const to = activeCluster(news);
  if (from !== undefined && to !== undefined && from !== to) {
    for (const key of LOCATION) if (diffs.includes(key)) replaces.add(key);
  }
  return { changes: true, diffs, replaces: [...replaces] };
}

/** The cluster entry (server, certificate authority, …) that a configuration selects; undefined when it cannot be told. */
function activeCluster(inputs: PropertyMap): string | undefined {
  let config: PropertyMap;
  try {
    const given = kubeconfigText(inputs.kubeconfig) ?? '';
    if (given === '') return undefined;
    config = parse(!given.includes('\n') && existsSync(given) ? readFileSync(given, 'utf8') : given) as PropertyMap;
  } catch {
    return undefined;
  }
  const context = getString(inputs, 'context') || getString(config, 'current-context');
  const selected = getList(config, 'contexts').find((item) => getString(item, 'name') === context);
  const name = getString(inputs, 'cluster') || getString(selected, 'context', 'cluster');
  const cluster = getList(config, 'clusters').find((item) => getString(item, 'name') === name);
  return cluster === undefined ? undefined : JSON.stringify(cluster);
}
