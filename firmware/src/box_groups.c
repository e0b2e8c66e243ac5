#include "box_groups.h"

#include <math.h>
#include <string.h>

static const double eps = 0.2;

static int32_t min_i32(int32_t one, int32_t other) {
  return (one < other) ? one : other;
}

static int32_t max_i32(int32_t one, int32_t other) {
  return (one > other) ? one : other;
}

static int32_t is_close(int32_t one, int32_t other, int32_t reach) {
  const int32_t apart = (one > other) ? one - other : other - one;
  return apart <= reach;
}

static int32_t are_similar(const rppg_hit_t *one, const rppg_hit_t *other) {
  const int32_t side = min_i32(one->side, other->side);
  const int32_t reach = (int32_t)(eps * (double)(2 * side) * 0.5);
  return is_close(one->x, other->x, reach) &&
         is_close(one->y, other->y, reach) &&
         is_close(one->x + one->side, other->x + other->side, reach) &&
         is_close(one->y + one->side, other->y + other->side, reach);
}

void rppg_groups_begin(rppg_groups_t *groups, rppg_hits_t *hits) {
  memset(groups, 0, sizeof *groups);
  hits->next = 0;
}

int32_t rppg_groups_join(rppg_hits_t *hits) {
  const int32_t newest = hits->next;
  if (newest >= hits->num) {
    return 0;
  }
  rppg_hit_t *hit = &hits->hits[newest];
  hit->group = (uint16_t)newest;
  for (int32_t index = 0; index < newest; ++index) {
    const rppg_hit_t *other = &hits->hits[index];
    if (are_similar(hit, other)) {
      /* Of two groups the one that begins later points to the other. */
      const uint16_t one = hit->group;
      const uint16_t two = hits->hits[other->group].group;
      const uint16_t first = (one < two) ? one : two;
      hits->hits[(one > two) ? one : two].group = first;
      hit->group = first;
    }
  }
  /* What a hit points to comes before it, and so points to its first by now. */
  for (int32_t index = 0; index <= newest; ++index) {
    hits->hits[index].group = hits->hits[hits->hits[index].group].group;
  }
  ++hits->next;
  return 1;
}

static int32_t mean(int32_t sum, int32_t num) {
  const float share = 1.0f / (float)num;
  return (int32_t)rintf((float)sum * share);
}

void rppg_groups_average(rppg_groups_t *groups, const rppg_hits_t *hits,
                         int32_t min_neighbours) {
  for (int32_t index = 0; index < hits->num; ++index) {
    ++groups->counts[hits->hits[index].group];
  }
  /* Counts become places, from 1, of the groups that are large enough. */
  for (int32_t index = 0; index < hits->num; ++index) {
    const int32_t is_large = ((int32_t)groups->counts[index] > min_neighbours);
    groups->num += is_large;
    groups->counts[index] = (uint16_t)(is_large ? groups->num : 0);
  }
  for (int32_t index = 0; index < hits->num; ++index) {
    const rppg_hit_t *hit = &hits->hits[index];
    const int32_t place = (int32_t)groups->counts[hit->group];
    if (place > 0) {
      rppg_hit_group_t *group = &groups->groups[place - 1];
      group->x += hit->x;
      group->y += hit->y;
      group->side += hit->side;
      ++group->num;
    }
  }
  for (int32_t index = 0; index < groups->num; ++index) {
    rppg_hit_group_t *group = &groups->groups[index];
    group->x = mean(group->x, group->num);
    group->y = mean(group->y, group->num);
    group->side = mean(group->side, group->num);
  }
}

static int32_t is_inside(const rppg_hit_group_t *one,
                         const rppg_hit_group_t *other) {
  const int32_t reach = (int32_t)rint((double)other->side * eps);
  return (one->x >= other->x - reach) && (one->y >= other->y - reach) &&
         (one->x + one->side <= other->x + other->side + reach) &&
         (one->y + one->side <= other->y + other->side + reach) &&
         (other->num > max_i32(3, one->num));
}

/* Of equals the upper left one. */
static int32_t is_larger(const rppg_box_t *one, const rppg_box_t *other) {
  const int32_t area = one->width * one->height;
  const int32_t other_area = other->width * other->height;
  if (area != other_area) {
    return area > other_area;
  }
  return (one->x != other->x) ? (one->x < other->x) : (one->y < other->y);
}

static void keep(rppg_groups_t *groups, const rppg_hit_group_t *group,
                 int32_t width, int32_t height) {
  const int32_t x = max_i32(0, group->x);
  const int32_t y = max_i32(0, group->y);
  const rppg_box_t box = {x, y, min_i32(width, group->x + group->side) - x,
                          min_i32(height, group->y + group->side) - y};
  if ((box.width <= 0) || (box.height <= 0)) {
    return;
  }
  ++groups->num_faces;
  if (is_larger(&box, &groups->largest)) {
    groups->largest = box;
  }
}

int32_t rppg_groups_choose(rppg_groups_t *groups, int32_t width,
                           int32_t height) {
  if (groups->next >= groups->num) {
    return 0;
  }
  const rppg_hit_group_t *group = &groups->groups[groups->next];
  int32_t is_alone = 1;
  for (int32_t index = 0; (index < groups->num) && is_alone; ++index) {
    is_alone =
        (index == groups->next) || !is_inside(group, &groups->groups[index]);
  }
  if (is_alone) {
    keep(groups, group, width, height);
  }
  ++groups->next;
  return 1;
}
