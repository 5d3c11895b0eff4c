"""CIFAR100."""

import torchvision

from classifier.data.published.cifar_base import CIFARDataModule

CLASS_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


class CIFAR100(CIFARDataModule):
    """60,000 colour images of 32x32 pixels in 100 classes, 50,000 of them for training (Krizhevsky, 2009)."""

    torchvision_class = torchvision.datasets.CIFAR100
    folder = torchvision_class.base_folder
    files = ("train", "test", "meta")
    label_key = "fine_labels"  # "coarse_labels" are 20 superclasses
    class_names = tuple(CLASS_NAMES.split())
