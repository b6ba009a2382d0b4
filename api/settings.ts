/** The settings are written by the component that deploys the service, so their types are there. */
export type * from '../components/operationsApi/settings.ts';
