"""The taxonomy of DeepFashion2, 13 categories and 294 landmarks: the only one written in Python.

Numbers in this file are the 1-based landmark numbers of the data set's figure, in annotation order.
``left`` and ``right`` mean the image's left and right of a frontal garment. Ordinals run from the
shoulder or armpit to the cuff, from the armpit or waist to the hem, from the collar to the hem.

Sources: names of the categories: data set README (``name``) and its COCO converter
(``official_name``), https://github.com/switchablenorms/DeepFashion2. Numbering: the README's
Figure 2, with one correction: for *short sleeve outwear* the figure exchanges numbers 2 and 4. The
annotations put 2 on the left neck point as in every other category, and the official sigmas are
symmetric only under the pairs 2-6 and 4-26.
"""

from __future__ import annotations

from df2_landmarks.taxonomy.category import Category, names, pairs, paths
from df2_landmarks.taxonomy.sigmas import SIGMAS
from df2_landmarks.taxonomy.taxonomy import Taxonomy

_CATEGORIES = (
    Category(
        id=1,
        name="short sleeve top",
        official_name="short_sleeved_shirt",
        color="#e6194b",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            cuff_left_outer cuff_left_inner sleeve_left_inner_1 armpit_left side_left_1
            side_left_2 hem_left hem_centre hem_right side_right_2 side_right_1
            armpit_right sleeve_right_inner_1 cuff_right_inner cuff_right_outer
            sleeve_right_outer_1 shoulder_right
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-25 8-24 9-23 10-22 11-21 12-20 13-19 14-18 15-17"),
        outlines=paths("2 1 6-2 7-25 6"),
        sigmas=SIGMAS[1],
    ),
    Category(
        id=2,
        name="long sleeve top",
        official_name="long_sleeved_shirt",
        color="#3cb44b",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            sleeve_left_outer_2 sleeve_left_outer_3 cuff_left_outer cuff_left_inner
            sleeve_left_inner_3 sleeve_left_inner_2 sleeve_left_inner_1 armpit_left
            side_left_1 side_left_2 hem_left hem_centre hem_right side_right_2
            side_right_1 armpit_right sleeve_right_inner_1 sleeve_right_inner_2
            sleeve_right_inner_3 cuff_right_inner cuff_right_outer sleeve_right_outer_3
            sleeve_right_outer_2 sleeve_right_outer_1 shoulder_right
            """
        ),
        flip_pairs=pairs(
            "2-6 3-5 7-33 8-32 9-31 10-30 11-29 12-28 13-27 14-26 15-25 16-24 17-23 18-22 19-21"
        ),
        outlines=paths("2 1 6-2 7-33 6"),
        sigmas=SIGMAS[2],
    ),
    Category(
        id=3,
        name="short sleeve outwear",
        official_name="short_sleeved_outwear",
        color="#ffb000",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left front_edge_left_top
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            cuff_left_outer cuff_left_inner sleeve_left_inner_1 armpit_left side_left_1
            side_left_2 hem_left front_edge_left_hem hem_right side_right_2 side_right_1
            armpit_right sleeve_right_inner_1 cuff_right_inner cuff_right_outer
            sleeve_right_outer_1 shoulder_right front_edge_right_top front_edge_right_1
            front_edge_right_2 front_edge_right_hem front_edge_left_1 front_edge_left_2
            """
        ),
        flip_pairs=pairs(
            "2-6 3-5 4-26 7-25 8-24 9-23 10-22 11-21 12-20 13-19 14-18 15-17 16-29 30-27 31-28"
        ),
        outlines=paths("2-4 30 31 16-7 2 1 6 25-17 29-26 5 6"),
        sigmas=SIGMAS[3],
    ),
    Category(
        id=4,
        name="long sleeve outwear",
        official_name="long_sleeved_outwear",
        color="#4363d8",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left front_edge_left_top
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            sleeve_left_outer_2 sleeve_left_outer_3 cuff_left_outer cuff_left_inner
            sleeve_left_inner_3 sleeve_left_inner_2 sleeve_left_inner_1 armpit_left
            side_left_1 side_left_2 hem_left front_edge_left_hem hem_right side_right_2
            side_right_1 armpit_right sleeve_right_inner_1 sleeve_right_inner_2
            sleeve_right_inner_3 cuff_right_inner cuff_right_outer sleeve_right_outer_3
            sleeve_right_outer_2 sleeve_right_outer_1 shoulder_right
            front_edge_right_top front_edge_right_1 front_edge_right_2
            front_edge_right_hem front_edge_left_1 front_edge_left_2
            """
        ),
        flip_pairs=pairs(
            "2-6 3-5 4-34 7-33 8-32 9-31 10-30 11-29 12-28 13-27 "
            "14-26 15-25 16-24 17-23 18-22 19-21 20-37 38-35 39-36"
        ),
        outlines=paths("2-4 38 39 20-7 2 1 6 33-21 37-34 5 6"),
        sigmas=SIGMAS[4],
    ),
    Category(
        id=5,
        name="vest",
        official_name="vest",
        color="#f58231",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left side_left_1 side_left_2
            hem_left hem_centre hem_right side_right_2 side_right_1 shoulder_right
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-15 8-14 9-13 10-12"),
        outlines=paths("2 1 6-2 7-15 6"),
        sigmas=SIGMAS[5],
    ),
    Category(
        id=6,
        name="sling",
        official_name="sling",
        color="#911eb4",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right strap_left_top side_left_1 side_left_2
            hem_left hem_centre hem_right side_right_2 side_right_1 strap_right_top
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-15 8-14 9-13 10-12"),
        outlines=paths("2 1 6-2 8-14 6", "7 2", "15 6"),
        sigmas=SIGMAS[6],
    ),
    Category(
        id=7,
        name="shorts",
        official_name="shorts",
        color="#00b5c8",
        landmark_names=names(
            """
            waist_left waist_centre waist_right leg_left_outer_1 leg_left_hem_outer
            leg_left_hem_inner crotch leg_right_hem_inner leg_right_hem_outer
            leg_right_outer_1
            """
        ),
        flip_pairs=pairs("1-3 4-10 5-9 6-8"),
        outlines=paths("1-3 10-4 1"),
        sigmas=SIGMAS[7],
    ),
    Category(
        id=8,
        name="trousers",
        official_name="trousers",
        color="#d63fd0",
        landmark_names=names(
            """
            waist_left waist_centre waist_right leg_left_outer_1 leg_left_outer_2
            leg_left_hem_outer leg_left_hem_inner leg_left_inner_1 crotch
            leg_right_inner_1 leg_right_hem_inner leg_right_hem_outer leg_right_outer_2
            leg_right_outer_1
            """
        ),
        flip_pairs=pairs("1-3 4-14 5-13 6-12 7-11 8-10"),
        outlines=paths("1-3 14-4 1"),
        sigmas=SIGMAS[8],
    ),
    Category(
        id=9,
        name="skirt",
        official_name="skirt",
        color="#8fbf00",
        landmark_names=names(
            """
            waist_left waist_centre waist_right side_left_mid hem_left hem_centre
            hem_right side_right_mid
            """
        ),
        flip_pairs=pairs("1-3 4-8 5-7"),
        outlines=paths("1-3 8-4 1"),
        sigmas=SIGMAS[9],
    ),
    Category(
        id=10,
        name="short sleeve dress",
        official_name="short_sleeved_dress",
        color="#c06080",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            cuff_left_outer cuff_left_inner sleeve_left_inner_1 armpit_left side_left_1
            side_left_2 side_left_3 side_left_4 hem_left hem_centre hem_right
            side_right_4 side_right_3 side_right_2 side_right_1 armpit_right
            sleeve_right_inner_1 cuff_right_inner cuff_right_outer sleeve_right_outer_1
            shoulder_right
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-29 8-28 9-27 10-26 11-25 12-24 13-23 14-22 15-21 16-20 17-19"),
        outlines=paths("2 1 6-2 7-29 6"),
        sigmas=SIGMAS[10],
    ),
    Category(
        id=11,
        name="long sleeve dress",
        official_name="long_sleeved_dress",
        color="#008080",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left sleeve_left_outer_1
            sleeve_left_outer_2 sleeve_left_outer_3 cuff_left_outer cuff_left_inner
            sleeve_left_inner_3 sleeve_left_inner_2 sleeve_left_inner_1 armpit_left
            side_left_1 side_left_2 side_left_3 side_left_4 hem_left hem_centre
            hem_right side_right_4 side_right_3 side_right_2 side_right_1 armpit_right
            sleeve_right_inner_1 sleeve_right_inner_2 sleeve_right_inner_3
            cuff_right_inner cuff_right_outer sleeve_right_outer_3 sleeve_right_outer_2
            sleeve_right_outer_1 shoulder_right
            """
        ),
        flip_pairs=pairs(
            "2-6 3-5 7-37 8-36 9-35 10-34 11-33 12-32 13-31 "
            "14-30 15-29 16-28 17-27 18-26 19-25 20-24 21-23"
        ),
        outlines=paths("2 1 6-2 7-37 6"),
        sigmas=SIGMAS[11],
    ),
    Category(
        id=12,
        name="vest dress",
        official_name="vest_dress",
        color="#9a6324",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right shoulder_left side_left_1 side_left_2
            side_left_3 side_left_4 hem_left hem_centre hem_right side_right_4
            side_right_3 side_right_2 side_right_1 shoulder_right
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-19 8-18 9-17 10-16 11-15 12-14"),
        outlines=paths("2 1 6-2 7-19 6"),
        sigmas=SIGMAS[12],
    ),
    Category(
        id=13,
        name="sling dress",
        official_name="sling_dress",
        color="#5c6bc0",
        landmark_names=names(
            """
            neckline_back_centre neckline_left neckline_front_left neckline_front_centre
            neckline_front_right neckline_right strap_left_top side_left_1 side_left_2
            side_left_3 side_left_4 hem_left hem_centre hem_right side_right_4
            side_right_3 side_right_2 side_right_1 strap_right_top
            """
        ),
        flip_pairs=pairs("2-6 3-5 7-19 8-18 9-17 10-16 11-15 12-14"),
        outlines=paths("2 1 6-2 8-18 6", "7 2", "19 6"),
        sigmas=SIGMAS[13],
    ),
)

DEEPFASHION2 = Taxonomy("DeepFashion2", _CATEGORIES, supercategory="clothes")
"""The default taxonomy."""
