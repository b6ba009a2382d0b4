/** Readable names such as `mostly-calm-otter`. The words are our own: a name is kept, never made a second time. */

import { randomInt } from 'node:crypto';

const ADVERBS = words(`
  barely boldly bravely briefly brightly calmly clearly closely coolly daily deeply duly early easily evenly fairly
  finely firmly freely freshly fully gently gladly greatly happily highly hugely jointly justly kindly largely lately
  lightly likely loosely loudly mainly merely mildly mostly mutually nearly neatly newly nicely openly overly partly
  plainly promptly purely quickly quietly rarely readily really richly rightly safely simply slightly slowly smoothly
  softly solely steadily strongly surely swiftly tightly truly usually vastly warmly widely wisely yearly`);
const ADJECTIVES = words(`
  able active agile alert amber ample aware awake bold brave bright brisk calm careful clean clear clever cool cosmic
  crisp curious deft eager early easy even exact fair famous fast fine firm fleet fond frank free fresh full gentle
  giving glad golden good grand great handy happy hardy helpful honest huge humble ideal jolly joyful just keen kind
  large light lively loyal lucky lunar mellow merry mighty mild modest native neat nimble noble normal open patient
  plain polite prime proper proud pure quick quiet rapid ready real relaxed rich robust safe sharp simple smart smooth
  social solid sound stable steady still strong sturdy subtle sunny super sure sweet swift tidy true trusty upright
  usable valid vast vital vivid warm whole wise witty worthy`);
const ANIMALS = words(`
  alpaca ant badger bass bat bear beaver bee beetle bison bobcat camel cat cheetah chicken cicada clam cobra cod colt
  condor coral cow crab crane cricket crow deer dingo dog dolphin dove dragon drake duck eagle eel egret elk emu falcon
  ferret finch firefly fish flea fly fowl fox frog gecko gelding gibbon giraffe goat goose grouse gull hare hawk hen
  heron hippo honeybee horse hound husky ibex iguana impala jackal jaguar jay koala koi ladybug lamb lark lemming lemur
  leopard lion lizard llama lobster lynx macaw magpie mako mantis marlin marmot marten mink mole monkey moose moth
  mouse mule newt ocelot octopus orca oryx osprey otter owl ox oyster panda panther parrot perch pheasant pig pigeon
  pika pony poodle puffin pug puma python quail rabbit raccoon ram raven ray robin salmon seal shark sheep shrew shrimp
  skunk sloth snail snake sole spaniel sparrow spider squid stag starling stork swan swift tapir teal tern terrier
  tiger toad trout tuna turkey turtle viper vulture wallaby walrus wasp weasel whale wolf wombat worm yak zebra`);

/** `count` words: adverbs, one adjective, one animal; a single word is an animal. */
export function petName(count: number): string[] {
  const lists = [...Array.from({ length: Math.max(count - 2, 0) }, () => ADVERBS), ADJECTIVES, ANIMALS];
  return lists.slice(-Math.max(count, 1)).map((list) => list[randomInt(list.length)] ?? '');
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
