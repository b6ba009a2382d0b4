export { type ClientOptions, type CreateOptions, type ListOptions, OrdersClient } from './client.ts';
export { OrdersError } from './error.ts';
export type { InputError, NewOrder, Order, OrderItem, OrderPage, Problem } from './types.ts';
