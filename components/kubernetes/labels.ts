/**
 * The recommended labels of an application's objects.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
 */
export function recommendedLabels(application: string, component: string): Record<string, string> {
  return {
    ...selectorLabels(application, component),
    'app.kubernetes.io/managed-by': 'pulumi',
    'app.kubernetes.io/part-of': application,
  };
}

/** The part of the labels that selectors use: it never changes, as selectors of workloads are immutable. */
export function selectorLabels(application: string, component: string): Record<string, string> {
  return {
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/instance': application,
    'app.kubernetes.io/name': application,
  };
}
