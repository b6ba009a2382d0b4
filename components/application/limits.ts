/** The longest name: the Job's name adds `-migrations-` and ten digits, and has at most 63 characters. */
export const LONGEST_APPLICATION_NAME = 40;
